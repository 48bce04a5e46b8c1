/* The kernel image formats of one architecture: internal to boot/.
 *
 * kernel.c asks each format in turn; which ones there are is said by the
 * architecture's file (ARCH/kernel.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "boot/kernel.h"

/* As many bytes as any probe wants to see. */
#define KERNEL_HEAD_SIZE 0x210

struct kernel_format {
	/* Looks at the first len bytes of the file: is it this format, be it
	 * well formed or not? */
	bool (*probe)(const uint8_t *head, size_t len);
	int (*load)(const struct boot_file *file, const struct guest_mem *mem,
		    enum kernel_protocol want, struct kernel_image *out,
		    struct error *err);
	/* kernel_read_build() for a file that probe has accepted, or NULL.
	 * Leaves text alone when there is nothing to read. */
	void (*read_build)(const struct boot_file *file, char *text,
			   size_t size);
};

extern const struct kernel_format kernel_formats[];
extern const unsigned kernel_format_count;

/* What the architecture calls its kernels, for messages: "an a.out". */
extern const char kernel_formats_wanted[];
