#include "boot/x86_64/memory_map.h"

#include "boot/x86_64/layout.h"

/* Appends, as RAM, the part of region from address low to address high, both
 * included. */
static unsigned add_ram(struct boot_e820_entry *map, unsigned count,
			const struct guest_region *region, uint64_t low,
			uint64_t high)
{
	uint64_t start = region->gpa > low ? region->gpa : low;
	uint64_t last = region->gpa + (region->size - 1);

	if (last > high)
		last = high;
	if (start > last)
		return count;
	map[count] = (struct boot_e820_entry){
		.addr = start,
		.size = last - start + 1,
		.type = E820_RAM,
	};
	return count + 1;
}

unsigned
x86_64_memory_map_build(const struct guest_mem *mem,
			struct boot_e820_entry map[X86_64_MEMORY_MAP_MAX])
{
	unsigned count = 0;

	for (unsigned i = 0; i < mem->count; i++)
		count = add_ram(map, count, &mem->regions[i], 0,
				X86_64_MPTABLE - 1);
	map[count++] = (struct boot_e820_entry){
		.addr = X86_64_MPTABLE,
		.size = X86_64_BASE_MEMORY_END - X86_64_MPTABLE,
		.type = E820_RESERVED,
	};
	map[count++] = (struct boot_e820_entry){
		.addr = X86_64_ACPI,
		.size = X86_64_ACPI_END - X86_64_ACPI,
		.type = E820_ACPI,
	};
	for (unsigned i = 0; i < mem->count; i++)
		count = add_ram(map, count, &mem->regions[i],
				X86_64_HIGH_MEMORY, UINT64_MAX);
	return count;
}
