/* The options of arch_config.h: rows of the table in config_fields.c, which
 * includes this between its own. */
	{ "pmu", FIELD_FLAG, AT(vm_config, arch.pmu),
	  .help = "give the guest the performance counters" },
	{ "dump-dtb", FIELD_STRING, AT(vm_config, arch.dump_dtb), .arg = "FILE",
	  .is_output = true,
	  .help = "write the device tree there before the guest starts" },
