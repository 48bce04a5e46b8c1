#include "vmm/config/config_fields.h"

const struct foreign_option foreign_options[] = {
	{ "tables", "an arm64 machine is described by a device tree alone" },
	{ "boot", "an arm64 kernel has one entry" },
	{ "pit",
	  "an arm64 machine has no 8254 timer, but the architected one" },
	{ .name = NULL },
};
