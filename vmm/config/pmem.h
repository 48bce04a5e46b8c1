/* Files as persistent memory: --pmem. */
#pragma once

#include <stdbool.h>

#include "vmm/config/section.h"

#define CONFIG_PMEMS_MAX 4

struct config_pmem {
	char *path;
	bool readonly; /* the guest's writes are its own until it ends */
	bool root;
};

extern const struct config_section pmem_section;
