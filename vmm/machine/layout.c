#include "vmm/machine/layout.h"

#include "vmm/machine/pmem.h"

/* Linux has a page table of its own for each, and KVM too. */
#define PMEM_ALIGN (1ULL << 30)

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
	add_slots(layout, SLOT_PMEM, config->pmem_count);
	add_slots(layout, SLOT_NET, config->net_count);
	add_slots(layout, SLOT_SHARE, config->share_count);
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

static void print_disk(const struct config_disk *disk, FILE *out)
{
	if (disk->vhost_user)
		fprintf(out, "block: vhost-user %s\n", disk->vhost_user);
	else
		fprintf(out, "block: %s\n", disk->path);
}

static void print_net(const struct config_net *net, FILE *out)
{
	fprintf(out, "net: %s%s\n", net->vhost_user ? "vhost-user " : "",
		config_net_name(net));
}

int layout_place_pmems(const struct vm_config *config, struct vm_layout *layout,
		       uint64_t start, struct error *err)
{
	uint64_t base = start;

	for (unsigned i = 0; i < config->pmem_count; i++) {
		struct layout_range *range = &layout->pmems[i];

		range->base = (base + PMEM_ALIGN - 1) & ~(PMEM_ALIGN - 1);
		if (pmem_measure(config->pmems[i].path, &range->size, err))
			return -1;
		base = range->base + range->size;
		layout->pmem_count++;
	}
	return 0;
}

uint64_t layout_memory_end(const struct vm_layout *layout)
{
	const struct layout_range *last =
		layout->pmem_count ? &layout->pmems[layout->pmem_count - 1]
				   : &layout->ram[layout->ram_count - 1];

	return last->base + last->size;
}

static void print_memory(const struct layout_range *range, const char *what,
			 FILE *out)
{
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
	for (unsigned i = 0; i < layout->pmem_count; i++)
		print_memory(&layout->pmems[i], "persistent memory", out);
	for (unsigned i = 0; i < layout->slot_count; i++) {
		const struct device_slot *slot = &layout->slots[i];

		fprintf(out, "%#14llx - %#14llx  virtio-mmio, GSI %u, ",
			(unsigned long long)slot->base,
			(unsigned long long)(slot->base + slot->size - 1),
			slot->gsi);
		switch (slot->kind) {
		case SLOT_DISK:
			print_disk(&config->disks[slot->index], out);
			break;
		case SLOT_PMEM:
			fprintf(out, "pmem: %s\n",
				config->pmems[slot->index].path);
			break;
		case SLOT_NET:
			print_net(&config->nets[slot->index], out);
			break;
		case SLOT_SHARE:
			fprintf(out, "file system: %s as %s\n",
				config->shares[slot->index].path,
				config->shares[slot->index].tag);
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
