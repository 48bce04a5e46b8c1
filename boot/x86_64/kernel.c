/* The kernel image formats that an x86-64 guest can start from. */
#include "boot/x86_64/formats.h"

#include "base/cleanup.h"

const struct kernel_format kernel_formats[] = {
	{ elf_probe, elf_load, elf_read_build },
	{ bzimage_probe, bzimage_load, bzimage_read_build },
};

const unsigned kernel_format_count = ARRAY_SIZE(kernel_formats);

const char kernel_formats_wanted[] = "an x86-64 vmlinux or bzImage";
