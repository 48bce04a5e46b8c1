/* What an arm64 kernel image has beyond any other's: nothing yet. */
#pragma once

enum kernel_protocol {
	KERNEL_AUTO, /* booting.rst knows one way in, x0 the device tree */
};

struct kernel_arch {
};

/* COMMAND_LINE_SIZE of all arm64 kernels, less the NUL. */
#define KERNEL_CMDLINE_MAX 2047

/* The largest pages that its kernels have: what a kernel gives back, as it
 * does the initrd's memory, it gives back in these. */
#define KERNEL_PAGE_MAX 0x10000
