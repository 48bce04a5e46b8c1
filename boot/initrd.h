/* Places an initial RAM disk in guest memory. Any architecture: the kernel
 * image says how high it may go. Set-up thread, before any vCPU.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/guest_mem.h"
#include "boot/kernel.h"
#include "boot/load.h"

struct initrd {
	uint64_t gpa;  /* aligned to the largest pages that kernels have */
	uint64_t size; /* bytes; 0 for none */
};

/* Loads file as high as it can be in the memory region that the kernel lies
 * in: page aligned, above the kernel's end, not above its initrd_max. 0, or
 * -1 with ERROR_IMAGE (empty file, no room) or ERROR_IO. */
int initrd_load(const struct boot_file *file, const struct guest_mem *mem,
		const struct kernel_image *kernel, struct initrd *out,
		struct error *err);
