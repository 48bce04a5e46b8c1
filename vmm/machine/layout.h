/* The guest's address map: which memory and which devices stand where.
 *
 * Computed from the configuration and the sizes of files, so that --dry-run can
 * print it.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "vmm/config/config.h"

#define LAYOUT_RAM_MAX 2
#define LAYOUT_PMEM_PIECE (2ULL << 20) /* sizes are multiples of it */
#define LAYOUT_SLOTS_MAX 19 /* interrupts that an I/O APIC has to spare */

enum slot_kind {
	SLOT_DISK,
	SLOT_PMEM,
	SLOT_NET,
	SLOT_SHARE,
	SLOT_RNG,
	SLOT_VSOCK,
	SLOT_BALLOON,
	SLOT_CONSOLE
};

/* One virtio-mmio window. */
struct device_slot {
	enum slot_kind kind;
	unsigned index; /* among its kind, as in the configuration */
	uint64_t base;	/* guest physical address */
	uint64_t size;
	uint32_t gsi;
};

struct layout_range {
	uint64_t base, size; /* guest physical address, bytes */
};

struct vm_layout {
	unsigned ram_count;
	struct layout_range ram[LAYOUT_RAM_MAX];
	unsigned pmem_count;
	struct layout_range pmems[CONFIG_PMEMS_MAX];
	unsigned slot_count;
	struct device_slot slots[LAYOUT_SLOTS_MAX];
};

/* Lists the virtio devices of the configuration in the order the guest
 * numbers them; addresses are the architecture's business. -1 when there are
 * more than the machine has room for. */
int layout_list_slots(const struct vm_config *config, struct vm_layout *layout,
		      struct error *err);

/* Finds room for persistent memory from `start` on, behind all RAM. -1 when a
 * file does not fit for it; nothing is opened. */
int layout_place_pmems(const struct vm_config *config, struct vm_layout *layout,
		       uint64_t start, struct error *err);

/* Where the last memory ends. */
uint64_t layout_memory_end(const struct vm_layout *layout);

void layout_print(const struct vm_config *config,
		  const struct vm_layout *layout, FILE *out);
