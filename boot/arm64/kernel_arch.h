/* What only an arm64 kernel image has: nothing yet. */
#pragma once

enum kernel_protocol {
	KERNEL_AUTO, /* the only one: booting.rst, x0 has the device tree */
};

struct kernel_arch {
};

/* COMMAND_LINE_SIZE of all arm64 kernels, less the NUL. */
#define KERNEL_CMDLINE_MAX 2047

/* The largest page size, in bytes, of arm64 kernels. A kernel can reuse the
 * initrd's memory only in whole pages. */
#define KERNEL_PAGE_MAX 0x10000
