#include "vmm/machine/layout.h"

#include "vmm/machine/kind.h"

/* Devices' memory begins at a multiple of 1 GiB, so that it shares no page
 * table with other memory, neither in Linux nor in KVM. */
#define MEMORY_ALIGN (1ULL << 30)

static int place_memory(const struct vm_config *config,
			struct device_slot *slot, uint64_t *start,
			struct error *err)
{
	struct layout_range *memory = &slot->memory;

	if (!slot->kind->measure)
		return 0;
	if (slot->kind->measure(config, slot->index, &memory->size, err))
		return -1;
	memory->base = (*start + MEMORY_ALIGN - 1) & ~(MEMORY_ALIGN - 1);
	*start = memory->base + memory->size;
	return 0;
}

int layout_list_slots(const struct vm_config *config, struct vm_layout *layout,
		      uint64_t start, struct error *err)
{
	unsigned wanted = 0;

	for (unsigned i = 0; machine_kinds[i]; i++)
		wanted += machine_kinds[i]->count(config);
	if (wanted > LAYOUT_SLOTS_MAX)
		return error_usage(
			err,
			"%u virtio devices; the machine takes at most "
			"%d",
			wanted, LAYOUT_SLOTS_MAX);
	for (unsigned i = 0; machine_kinds[i]; i++) {
		unsigned count = machine_kinds[i]->count(config);

		for (unsigned j = 0; j < count; j++) {
			struct device_slot *slot =
				&layout->slots[layout->slot_count++];

			*slot = (struct device_slot){
				.kind = machine_kinds[i],
				.index = j,
			};
			if (place_memory(config, slot, &start, err))
				return -1;
		}
	}
	return 0;
}

uint64_t layout_memory_end(const struct vm_layout *layout)
{
	const struct layout_range *last = &layout->ram[layout->ram_count - 1];

	for (unsigned i = 0; i < layout->slot_count; i++)
		if (layout->slots[i].memory.size)
			last = &layout->slots[i].memory;
	return last->base + last->size;
}

static void print_memory(const struct layout_range *range, const char *what,
			 FILE *out)
{
	if (!range->size)
		return;
	fprintf(out, "%#14llx - %#14llx  %s, %llu MiB\n",
		(unsigned long long)range->base,
		(unsigned long long)(range->base + range->size - 1), what,
		(unsigned long long)range->size >> 20);
}

void layout_print(const struct vm_config *config,
		  const struct vm_layout *layout, FILE *out)
{
	for (unsigned i = 0; i < layout->ram_count; i++)
		print_memory(&layout->ram[i], "memory", out);
	for (unsigned i = 0; i < layout->slot_count; i++)
		print_memory(&layout->slots[i].memory, "persistent memory",
			     out);
	for (unsigned i = 0; i < layout->slot_count; i++) {
		const struct device_slot *slot = &layout->slots[i];

		fprintf(out, "%#14llx - %#14llx  virtio-mmio, GSI %u, ",
			(unsigned long long)slot->base,
			(unsigned long long)(slot->base + slot->size - 1),
			slot->gsi);
		fputs(slot->kind->name, out);
		if (slot->kind->describe) {
			fputs(": ", out);
			slot->kind->describe(config, slot->index, out);
		}
		fputc('\n', out);
	}
}
