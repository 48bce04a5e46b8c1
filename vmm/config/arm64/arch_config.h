/* What can be asked of an arm64 machine alone. */
#pragma once

#include <stdbool.h>

struct arch_config {
	char *dump_dtb;
	bool pmu;
};
