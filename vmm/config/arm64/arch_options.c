#include "vmm/config/section.h"

static const struct field options[] = {
	{ "pmu", FIELD_FLAG, FIELD_AT(vm_config, arch.pmu),
	  .help = "give the guest the performance counters" },
	{ "dump-dtb", FIELD_STRING, FIELD_AT(vm_config, arch.dump_dtb),
	  .is_output = true, .arg = "FILE",
	  .help = "write the device tree there before the guest starts" },
	{ .name = NULL },
};

const struct config_section arch_section = { options, NULL, NULL };

const struct foreign_option foreign_options[] = {
	{ "tables", "an arm64 machine is described by a device tree alone" },
	{ "boot", "an arm64 kernel has one entry" },
	{ "pit",
	  "an arm64 machine has no 8254 timer, but the architected one" },
	{ .name = NULL },
};
