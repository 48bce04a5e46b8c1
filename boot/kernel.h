/* Loads a kernel image into guest memory and says how to enter it.
 *
 * The format is recognised by the content of the file, never by its name. What
 * else a kernel needs (memory map, command line, page tables) is the business
 * of the architecture's set-up. kernel_arch.h and formats.h in the folder of an
 * architecture list its protocols and formats, with their specifications.
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
	uint64_t entry;		    /* gpa of the first instruction */
	uint64_t start;		    /* gpa of the first byte that it occupies */
	uint64_t end;		    /* gpa after the last one, .bss included */
	uint64_t initrd_max;	    /* highest gpa an initrd byte may have */
	uint32_t cmdline_max;	    /* bytes of command line without its NUL */
	struct load_mapping mapped; /* its part that shows the file's pages */
	struct kernel_arch arch;
};

/* Loads file into mem. Only the bytes of the file are written, so .bss must be
 * zero already, as in fresh memory. want asks for one protocol; KERNEL_AUTO
 * takes the best one that the image has. 0, or -1 with ERROR_IMAGE for a file
 * that is not a kernel we can start and ERROR_IO for failed reads. The content
 * of guest memory is then undefined. */
int kernel_load(const struct boot_file *file, const struct guest_mem *mem,
		enum kernel_protocol want, struct kernel_image *out,
		struct error *err);

/* Reads what the builder of an image wrote into it about itself, such as a
 * version string: at most size bytes, NUL included. text is empty if there is
 * nothing of that kind, or if the file is not a kernel. */
void kernel_read_build(const struct boot_file *file, char *text, size_t size);
