/* The size of the machine: --cpus and --memory. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/config/section.h"

#define CONFIG_CPUS_MAX 64

/* KVM prepares its tables for all of the memory at once and heeds no signal
 * meanwhile. Where it shadows page tables, that takes seconds for each TiB. It
 * refuses more than 8 TiB. */
#define CONFIG_MEMORY_MAX (1ULL << 40)

struct config_memory {
	uint64_t size;	/* bytes; 8 MiB to CONFIG_MEMORY_MAX, whole pages */
	bool hugepages; /* size is a multiple of 2 MiB then */
};

extern const struct config_section machine_section;
