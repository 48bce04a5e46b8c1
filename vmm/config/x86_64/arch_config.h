/* What a user can ask of an x86-64 machine alone. */
#pragma once

#include <stdbool.h>

/* How the kernel finds its devices. */
enum config_tables { TABLES_AUTO, TABLES_ACPI, TABLES_MPTABLE };

/* How a vmlinux is entered. */
enum config_boot { BOOT_AUTO, BOOT_PVH, BOOT_LINUX64 };

struct arch_config {
	int tables; /* enum config_tables */
	int boot;   /* enum config_boot */
	bool pit;
};
