/* Places an initial RAM disk in guest memory. The kernel image says how high it
 * may lie. Set-up thread, before any vCPU.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/guest_mem.h"
#include "boot/kernel.h"
#include "boot/load.h"

struct initrd {
	uint64_t gpa;  /* a multiple of KERNEL_PAGE_MAX */
	uint64_t size; /* bytes; 0: no initrd */
};

/* Loads file into the memory region of the kernel, as high as initrd_max allows
 * and above the kernel's end. 0, or -1 with ERROR_IMAGE for an empty file or
 * too little room and ERROR_IO for failed reads. */
int initrd_load(const struct boot_file *file, const struct guest_mem *mem,
		const struct kernel_image *kernel, struct initrd *out,
		struct error *err);
