#include "vmm/layout.h"

/* Counts on when there is no more room. */
static void add_slots(struct vm_layout *layout, enum slot_kind kind,
		      unsigned count)
{
	for (unsigned i = 0; i < count; i++, layout->slot_count++)
		if (layout->slot_count < LAYOUT_SLOTS_MAX)
			layout->slots[layout->slot_count] =
				(struct device_slot){ .kind = kind,
						      .index = i };
}

int layout_list_slots(const struct vm_config *config, struct vm_layout *layout,
		      struct error *err)
{
	add_slots(layout, SLOT_DISK, config->disk_count);
	add_slots(layout, SLOT_NET, config->net_count);
	add_slots(layout, SLOT_RNG, !config->no_rng);
	add_slots(layout, SLOT_VSOCK, config->vsock.path != NULL);
	add_slots(layout, SLOT_BALLOON, config->balloon.given);
	add_slots(layout, SLOT_CONSOLE, !config->hvc.none);
	if (layout->slot_count <= LAYOUT_SLOTS_MAX)
		return 0;
	return error_set(err, ERROR_USAGE, 0,
			 "%u virtio devices; the machine takes at most %d",
			 layout->slot_count, LAYOUT_SLOTS_MAX);
}

void layout_print(const struct vm_config *config,
		  const struct vm_layout *layout, FILE *out)
{
	for (unsigned i = 0; i < layout->ram_count; i++)
		fprintf(out, "%#14llx - %#14llx  memory, %llu MiB\n",
			(unsigned long long)layout->ram[i].base,
			(unsigned long long)(layout->ram[i].base +
					     layout->ram[i].size - 1),
			(unsigned long long)layout->ram[i].size >> 20);
	for (unsigned i = 0; i < layout->slot_count; i++) {
		const struct device_slot *slot = &layout->slots[i];

		fprintf(out, "%#14llx - %#14llx  virtio-mmio, GSI %u, ",
			(unsigned long long)slot->base,
			(unsigned long long)(slot->base + slot->size - 1),
			slot->gsi);
		switch (slot->kind) {
		case SLOT_DISK:
			fprintf(out, "block: %s\n",
				config->disks[slot->index].path);
			break;
		case SLOT_NET:
			fprintf(out, "net: %s\n",
				config_net_name(&config->nets[slot->index]));
			break;
		case SLOT_RNG:
			fprintf(out, "rng\n");
			break;
		case SLOT_VSOCK:
			fprintf(out, "vsock: %s, CID %llu\n",
				config->vsock.path,
				(unsigned long long)config->vsock.cid);
			break;
		case SLOT_BALLOON:
			fprintf(out, "balloon\n");
			break;
		case SLOT_CONSOLE:
			fprintf(out, "console: hvc0\n");
			break;
		}
	}
}
