#include "devices/virtio_rng.h"
#include "vmm/machine/kinds/kinds.h"

static unsigned count(const struct vm_config *config)
{
	return !config->no_rng;
}

static void describe(const struct vm_config *config, unsigned index, FILE *out)
{
	(void)config;
	(void)index;
	fputs("rng", out);
}

static int create(struct machine_device *device,
		  const struct kind_machine *machine, struct error *err)
{
	device->dev = virtio_rng_create(&machine->memory->all,
					machine->iothreads->main_loop, err);
	return device->dev ? 0 : -1;
}

static void destroy(struct machine_device *device)
{
	virtio_device_destroy(device->dev);
}

const struct machine_kind rng_kind = {
	.count = count,
	.describe = describe,
	.create = create,
	.destroy = destroy,
};
