#include "vmm/config/config_fields.h"

const struct foreign_option foreign_options[] = {
	{ "dump-dtb", "an x86-64 machine is not described by a device tree" },
	{ .name = NULL },
};
