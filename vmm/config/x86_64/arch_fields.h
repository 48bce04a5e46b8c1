/* The options of arch_config.h: rows of the table in config_fields.c, which
 * includes this between its own. */
	{ "tables", FIELD_CHOICE, AT(vm_config, arch.tables),
	  .choices = (const char *const[]){ [TABLES_AUTO] = "auto",
					    [TABLES_ACPI] = "acpi",
					    [TABLES_MPTABLE] = "mptable", NULL },
	  .arg = "auto|acpi|mptable",
	  .help = "how the kernel finds its devices: ACPI, or MP table and "
		  "virtio_mmio.device= (auto)" },
	{ "boot", FIELD_CHOICE, AT(vm_config, arch.boot),
	  .choices = (const char *const[]){ [BOOT_AUTO] = "auto",
					    [BOOT_PVH] = "pvh",
					    [BOOT_LINUX64] = "linux64", NULL },
	  .arg = "auto|pvh|linux64",
	  .help = "how a vmlinux is entered (auto: PVH where it has the "
		  "note)" },
	{ "pit", FIELD_FLAG, AT(vm_config, arch.pit),
	  .help = "add the 8254 timer, for kernels that insist" },
