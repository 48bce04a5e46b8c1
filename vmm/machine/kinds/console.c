#include "devices/console/virtio_console.h"
#include "vmm/machine/consoles.h"
#include "vmm/machine/kinds/kinds.h"

static unsigned count(const struct vm_config *config)
{
	return !config->hvc.none;
}

static int open_hvc(struct machine_device *device, const struct kind_host *host,
		    struct error *err)
{
	device->host = console_open_once("hvc", &host->config->hvc, host->files,
					 host->timeline, err);
	return device->host ? 0 : -1;
}

static void close_hvc(struct machine_device *device)
{
	console_close(device->host);
}

static int create(struct machine_device *device,
		  const struct kind_machine *machine, struct error *err)
{
	const struct virtio_console_options options = {
		.backend = &console_backend,
		.backend_ctx = device->host,
	};

	device->dev = virtio_console_create(&options, &machine->memory->all,
					    machine->iothreads->main_loop, err);
	return device->dev ? 0 : error_wrap(err, "hvc");
}

const struct machine_kind console_kind = {
	.name = "console: hvc0",
	.count = count,
	.opens_late = true,
	.open = open_hvc,
	.close = close_hvc,
	.create = create,
};
