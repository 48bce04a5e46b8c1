#include "vmm/config/section.h"

static const char *const tables[] = {
	[TABLES_AUTO] = "auto",
	[TABLES_ACPI] = "acpi",
	[TABLES_MPTABLE] = "mptable",
	NULL,
};

static const char *const boots[] = {
	[BOOT_AUTO] = "auto",
	[BOOT_PVH] = "pvh",
	[BOOT_LINUX64] = "linux64",
	NULL,
};

static const struct field options[] = {
	{ "tables", FIELD_CHOICE, FIELD_AT(vm_config, arch.tables),
	  .choices = tables, .arg = "auto|acpi|mptable",
	  .help = "how the kernel finds its devices: ACPI, or MP table and "
		  "virtio_mmio.device= (auto)" },
	{ "boot", FIELD_CHOICE, FIELD_AT(vm_config, arch.boot),
	  .choices = boots, .arg = "auto|pvh|linux64",
	  .help = "how a vmlinux is entered (auto: PVH where it has the "
		  "note)" },
	{ "pit", FIELD_FLAG, FIELD_AT(vm_config, arch.pit),
	  .help = "add the 8254 timer, for kernels that insist" },
	{ .name = NULL },
};

const struct config_section arch_section = { options, NULL, NULL };

const struct foreign_option foreign_options[] = {
	{ "dump-dtb", "an x86-64 machine is not described by a device tree" },
	{ .name = NULL },
};
