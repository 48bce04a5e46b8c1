/* What only an x86-64 kernel image has. */
#pragma once

#include <stdint.h>

enum kernel_protocol {
	KERNEL_AUTO,	/* PVH if the image offers it, else LINUX64 */
	KERNEL_PVH,	/* 32-bit protected mode, hvm_start_info */
	KERNEL_LINUX64, /* Linux 64-bit boot protocol: long mode, zero page */
};

/* The setup header of a bzImage lies at 0x1f1 of the file and of the zero
 * page, and never reaches beyond 0x290 (boot.rst, zero-page.rst). */
#define SETUP_HEADER_OFFSET 0x1f1
#define SETUP_HEADER_MAX (0x290 - SETUP_HEADER_OFFSET)

struct kernel_arch {
	enum kernel_protocol protocol; /* never KERNEL_AUTO */
	/* bytes to copy into the zero page; 0 unless it is a bzImage */
	uint32_t setup_header_size;
	uint8_t setup_header[SETUP_HEADER_MAX];
};

/* No kernel may be loaded below this address, where layout.h places boot
 * structures. */
#define KERNEL_LOWEST 0x100000

/* The largest page size, in bytes, that x86-64 kernels manage memory in. */
#define KERNEL_PAGE_MAX 4096
