/* The memory map an x86-64 guest is told ("e820"), from its memory regions.
 * ACPI 6.5 section 15. Set-up thread.
 */
#pragma once

#include <stdint.h>

#include "base/guest_mem.h"
#include "boot/x86_64/abi.h"

/* each region split once, and the reserved ranges */
#define X86_64_MEMORY_MAP_MAX (2 * GUEST_REGIONS_MAX + 2)

struct x86_64_memory_range {
	uint64_t gpa;
	uint64_t size; /* bytes, not 0 */
	enum e820_type type;
};

/* Fills map in ascending order of the regions and returns the ranges used.
 * RAM leaves out 0x9f000-0xfffff; in there the MP table is reserved and the
 * ACPI tables are marked as such. */
unsigned
x86_64_memory_map_build(const struct guest_mem *mem,
			struct x86_64_memory_range map[X86_64_MEMORY_MAP_MAX]);
