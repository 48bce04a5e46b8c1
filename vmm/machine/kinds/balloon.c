#include "devices/virtio_balloon.h"
#include "vmm/machine/kinds/kinds.h"

static unsigned count(const struct vm_config *config)
{
	return config->balloon.given;
}

static int discard(void *ctx, uint8_t *host, uint64_t len)
{
	return memory_discard(ctx, host, len);
}

static int create(struct machine_device *device,
		  const struct kind_machine *machine, struct error *err)
{
	const struct config_balloon *balloon = &machine->config->balloon;
	const struct virtio_balloon_options options = {
		.target = balloon->size,
		.stats_every = (unsigned)balloon->stats,
		.reporting = !balloon->no_reporting,
		.discard = discard,
		.ctx = machine->memory,
	};

	device->dev = virtio_balloon_create(&options, &machine->memory->ram,
					    machine->iothreads->main_loop, err);
	return device->dev ? 0 : -1;
}

const struct machine_kind balloon_kind = {
	.name = "balloon",
	.count = count,
	.create = create,
};
