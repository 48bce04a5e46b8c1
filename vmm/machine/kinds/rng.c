#include "devices/virtio_rng.h"
#include "vmm/machine/kinds/kinds.h"

static unsigned count(const struct vm_config *config)
{
	return !config->no_rng;
}

static int create(struct machine_device *device,
		  const struct kind_machine *machine, struct error *err)
{
	device->dev = virtio_rng_create(&machine->memory->all,
					machine->iothreads->main_loop, err);
	return device->dev ? 0 : -1;
}

const struct machine_kind rng_kind = {
	.name = "rng",
	.count = count,
	.create = create,
};
