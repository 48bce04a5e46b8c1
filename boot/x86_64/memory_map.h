/* The memory map of an x86-64 guest ("e820"), made from its memory regions.
 * ACPI 6.5 section 15, "System Address Map Interfaces". Set-up thread.
 */
#pragma once

#include <asm/bootparam.h>

#include "base/guest_mem.h"

/* Each region may be split once. Two ranges are reserved. */
#define X86_64_MEMORY_MAP_MAX (2 * GUEST_REGIONS_MAX + 2)

enum e820_type {
	E820_RAM = 1,
	E820_RESERVED = 2,
	E820_ACPI = 3,
};

/* Fills map, in ascending order of the regions, and returns the number of its
 * entries. None of 0x9f000 to 0xfffff is RAM: the MP table there is reserved,
 * and the ACPI tables have a type of their own. */
unsigned
x86_64_memory_map_build(const struct guest_mem *mem,
			struct boot_e820_entry map[X86_64_MEMORY_MAP_MAX]);
