/* The kernel image formats of one architecture. Internal to boot/.
 *
 * boot/kernel.c tries each format in turn. ARCH/kernel.c lists them. Texts of
 * errors do not name the file, which kernel_load() does for all formats.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "boot/kernel.h"

/* The most bytes that any probe looks at. */
#define KERNEL_HEAD_SIZE 0x210

struct kernel_format {
	/* Says from the first len bytes of a file whether it has this format.
	 * The file may still be malformed. */
	bool (*probe)(const uint8_t *head, size_t len);
	int (*load)(const struct boot_file *file, const struct guest_mem *mem,
		    enum kernel_protocol want, struct kernel_image *out,
		    struct error *err);
	/* kernel_read_build() for a file that probe has accepted. Leaves text
	 * as it is if there is nothing to read. NULL: there never is. */
	void (*read_build)(const struct boot_file *file, char *text,
			   size_t size);
};

extern const struct kernel_format kernel_formats[];
extern const unsigned kernel_format_count;

/* The formats by name, for messages: "an a.out". */
extern const char kernel_formats_wanted[];
