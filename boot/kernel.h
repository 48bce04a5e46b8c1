/* Loads a kernel image into guest memory and says how to enter it.
 *
 * The format is told by content, never by name. What a kernel needs beyond
 * its own bytes (memory map, command line, page tables) is the business of
 * the architecture's set-up, x86_64_setup.h.
 *
 * Specifications: Linux Documentation/arch/x86/boot.rst (bzImage, 64-bit boot
 * protocol), ELF-64, Xen docs/misc/pvh (PVH entry).
 * All calls run on the set-up thread, before any vCPU.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/guest_mem.h"
#include "boot/load.h"

enum kernel_protocol {
	KERNEL_AUTO,	/* as the image offers: PVH before LINUX64 */
	KERNEL_PVH,	/* x86 PVH: 32-bit protected mode, hvm_start_info */
	KERNEL_LINUX64, /* Linux 64-bit boot protocol: long mode, zero page */
};

/* The setup header of a bzImage lies at 0x1f1 of the file and of the zero
 * page, and never reaches beyond 0x290 (boot.rst, zero-page.rst). */
#define SETUP_HEADER_OFFSET 0x1f1
#define SETUP_HEADER_MAX (0x290 - SETUP_HEADER_OFFSET)

struct kernel_image {
	enum kernel_protocol protocol; /* never KERNEL_AUTO */
	uint64_t entry;		       /* gpa of the first instruction */
	uint64_t start;	      /* gpa: first byte of the memory it occupies... */
	uint64_t end;	      /* ...and one past the last: .bss, init_size */
	uint64_t initrd_max;  /* highest gpa an initrd byte may have */
	uint32_t cmdline_max; /* bytes of command line without its NUL */
	/* bzImage only, else size 0: header to copy into the zero page */
	uint32_t setup_header_size;
	uint8_t setup_header[SETUP_HEADER_MAX];
};

/* Loads file into mem, which must be zero where the kernel goes (fresh
 * memory is) and is not touched beyond the bytes of the file. want asks for
 * one protocol; KERNEL_AUTO takes the best the image has. Nothing below
 * KERNEL_LOWEST is ever written. 0, or -1 with ERROR_IMAGE for what is not a
 * kernel we can start and ERROR_IO for failed reads; guest memory is then
 * undefined. */
int kernel_load(const struct boot_file *file, const struct guest_mem *mem,
		enum kernel_protocol want, struct kernel_image *out,
		struct error *err);

/* Reads what the builder of an image wrote into it about itself: the version
 * string of a bzImage, the build salt (CONFIG_BUILD_SALT) of an ELF kernel.
 * text is empty when there is none or the file is not a kernel at all; at most
 * size bytes, always terminated. */
void kernel_read_build(const struct boot_file *file, char *text, size_t size);

/* Boot structures live below this address (x86_64_layout.h). */
#define KERNEL_LOWEST 0x100000
