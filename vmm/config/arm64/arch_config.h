/* What a user can ask of an arm64 machine alone. */
#pragma once

#include <stdbool.h>

struct arch_config {
	char *dump_dtb;
	bool pmu;
};
