/* Loads a kernel image into guest memory and says how to enter it.
 *
 * The format is told by content, never by name. What a kernel needs beyond
 * its own bytes (memory map, command line, page tables) is the business of
 * the architecture's set-up. Which formats and protocols there are, and their
 * specifications, is said in its folder: kernel_arch.h, kernel.c.
 * All calls run on the set-up thread, before any vCPU.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/guest_mem.h"
#include "boot/load.h"
#include "kernel_arch.h"

struct kernel_image {
	uint64_t entry;	      /* gpa of the first instruction */
	uint64_t start;	      /* gpa: first byte of the memory it occupies... */
	uint64_t end;	      /* ...and one past the last: .bss, init_size */
	uint64_t initrd_max;  /* highest gpa an initrd byte may have */
	uint32_t cmdline_max; /* bytes of command line without its NUL */
	struct load_mapping mapped; /* what is not copied of it */
	struct kernel_arch arch;
};

/* Loads file into mem, which must be zero where the kernel goes (fresh
 * memory is) and is not touched beyond the bytes of the file. want asks for
 * one protocol; KERNEL_AUTO takes the best the image has. 0, or -1 with
 * ERROR_IMAGE for what is not a kernel we can start and ERROR_IO for failed
 * reads; guest memory is then undefined. */
int kernel_load(const struct boot_file *file, const struct guest_mem *mem,
		enum kernel_protocol want, struct kernel_image *out,
		struct error *err);

/* Reads what the builder of an image wrote into it about itself, a version
 * string or the like. text is empty when there is none or the file is not a
 * kernel at all; at most size bytes, always terminated. */
void kernel_read_build(const struct boot_file *file, char *text, size_t size);
