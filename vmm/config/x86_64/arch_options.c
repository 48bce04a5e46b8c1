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
	  .help = "describe devices by ACPI, or by MP table and "
		  "virtio_mmio.device= words (auto)" },
	{ "boot", FIELD_CHOICE, FIELD_AT(vm_config, arch.boot),
	  .choices = boots, .arg = "auto|pvh|linux64",
	  .help = "entry point of a vmlinux (auto: PVH if the kernel has the "
		  "note)" },
	{ "pit", FIELD_FLAG, FIELD_AT(vm_config, arch.pit),
	  .help = "add the 8254 timer, for kernels that require it" },
	{ .name = NULL },
};

const struct config_section arch_section = { options, NULL, NULL };

const struct foreign_option foreign_options[] = {
	{ "dump-dtb", "an x86-64 guest gets no device tree" },
	{ .name = NULL },
};
