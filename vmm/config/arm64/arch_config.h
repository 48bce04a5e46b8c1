/* What a user can ask of an arm64 machine alone. */
#pragma once

#include <stdbool.h>

#include "vmm/config/section.h"

struct arch_config {
	char *dump_dtb;
	bool pmu;
};

extern const struct config_section arch_section;
