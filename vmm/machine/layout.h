/* The guest's address map: where memory and devices are.
 *
 * It is computed from the configuration and the sizes of files, without opening
 * anything, so that --dry-run can print it. Main thread.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "vmm/config/config.h"

struct machine_kind;

#define LAYOUT_RAM_MAX 2
#define LAYOUT_SLOTS_MAX 19 /* interrupts that an I/O APIC has to spare */

struct layout_range {
	uint64_t base, size; /* guest physical address, bytes */
};

/* A device of the configuration, and its transport's window. */
struct device_slot {
	const struct machine_kind *kind;
	unsigned index; /* among its kind, as in the configuration */
	uint64_t base;	/* of the window, guest physical address */
	uint64_t size;	/* bytes */
	uint32_t gsi;
	struct layout_range memory; /* the device's own; size 0: none */
};

struct vm_layout {
	unsigned ram_count;
	struct layout_range ram[LAYOUT_RAM_MAX];
	unsigned slot_count;
	struct device_slot slots[LAYOUT_SLOTS_MAX];
};

/* Lists the devices of the configuration in the order in which the guest
 * numbers them, and places the memory that they bring. It begins at start,
 * behind all RAM. The architecture adds windows and interrupts. -1 with err set
 * when there are more devices than the machine has room for, or a file cannot
 * serve as memory. */
int layout_list_slots(const struct vm_config *config, struct vm_layout *layout,
		      uint64_t start, struct error *err);

/* The guest physical address behind all memory. */
uint64_t layout_memory_end(const struct vm_layout *layout);

/* Prints memory and devices, one on each line. */
void layout_print(const struct vm_config *config,
		  const struct vm_layout *layout, FILE *out);
