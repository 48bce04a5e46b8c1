#include "vmm/config/section.h"

static const struct field options[] = {
	{ "pmu", FIELD_FLAG, FIELD_AT(vm_config, arch.pmu),
	  .help = "give the guest the processor's performance counters" },
	{ "dump-dtb", FIELD_STRING, FIELD_AT(vm_config, arch.dump_dtb),
	  .is_output = true, .arg = "FILE",
	  .help = "write the device tree to FILE before the guest starts" },
	{ .name = NULL },
};

const struct config_section arch_section = { options, NULL, NULL };

const struct foreign_option foreign_options[] = {
	{ "tables", "an arm64 guest always gets a device tree" },
	{ "boot", "an arm64 kernel has only one entry point" },
	{ "pit", "an arm64 machine has no 8254 timer" },
	{ .name = NULL },
};
