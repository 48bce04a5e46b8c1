/* The kernel image formats that an arm64 guest can start from. */
#include "boot/arm64/formats.h"

#include "base/cleanup.h"

const struct kernel_format kernel_formats[] = {
	{ image_probe, image_load, NULL },
	{ zboot_probe, zboot_load, NULL },
	{ image_gz_probe, image_gz_load, NULL },
};

const unsigned kernel_format_count = ARRAY_SIZE(kernel_formats);

const char kernel_formats_wanted[] = "an arm64 Image, EFI zboot or Image.gz";
