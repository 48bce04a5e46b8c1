#include "vmm/machine/devices.h"

#include "devices/virtio/virtio_state.h"
#include "vmm/machine/kvm.h"

void devices_init(struct machine_devices *devices,
		  const struct vm_layout *layout)
{
	*devices = (struct machine_devices){ .count = layout->slot_count };
	for (unsigned i = 0; i < layout->slot_count; i++)
		devices->list[i].slot = &layout->slots[i];
}

/* --- on the host --- */

int devices_open(struct machine_devices *devices, const struct kind_host *host,
		 bool late, struct error *err)
{
	for (unsigned i = 0; i < devices->count; i++) {
		struct machine_device *device = &devices->list[i];
		const struct machine_kind *kind = device->slot->kind;

		if (kind->open && kind->opens_late == late &&
		    kind->open(device, host, err))
			return -1;
	}
	return 0;
}

void devices_close(struct machine_devices *devices)
{
	for (unsigned i = devices->count; i-- > 0;) {
		struct machine_device *device = &devices->list[i];

		vhost_user_destroy(device->server);
		device->server = NULL;
		if (device->slot->kind->close)
			device->slot->kind->close(device);
		device->host = NULL;
	}
}

bool devices_share_memory(const struct machine_devices *devices)
{
	for (unsigned i = 0; i < devices->count; i++)
		if (devices->list[i].shares_memory)
			return true;
	return false;
}

int devices_map(struct machine_devices *devices, struct memory *memory,
		struct error *err)
{
	for (unsigned i = 0; i < devices->count; i++) {
		struct machine_device *device = &devices->list[i];
		const struct machine_kind *kind = device->slot->kind;

		if (kind->map && kind->map(device, memory, err))
			return -1;
	}
	return 0;
}

/* --- of one boot --- */

static int put_on_bus(struct machine_device *device, struct platform *platform,
		      struct error *err)
{
	const struct device_slot *slot = device->slot;
	const struct virtio_mmio_config config = {
		.base = slot->base,
		.irq = platform_irq(platform, slot->gsi),
		.ioeventfds = &kvm_ioeventfd_ops,
		.ioeventfd_ctx = &platform->vm_fd,
	};
	struct bus_range range = {
		.name = "virtio-mmio",
		.base = slot->base,
		.size = slot->size,
		.ops = &virtio_mmio_bus_ops,
		.lock = &device->dev->lock,
	};

	device->mmio = virtio_mmio_create(device->dev, &config, err);
	if (!device->mmio)
		return -1;
	range.dev = device->mmio;
	return bus_add(&platform->mmio, &range, err);
}

int devices_create(struct machine_devices *devices,
		   const struct kind_machine *machine,
		   struct platform *platform, struct error *err)
{
	for (unsigned i = 0; i < devices->count; i++) {
		struct machine_device *device = &devices->list[i];

		if (device->slot->kind->create(device, machine, err) ||
		    put_on_bus(device, platform, err))
			return -1;
	}
	return 0;
}

static void leave_servers(struct machine_devices *devices)
{
	for (unsigned i = 0; i < devices->count; i++)
		if (devices->list[i].server)
			vhost_user_drop(devices->list[i].server,
					"the VM has ended");
}

void devices_destroy(struct machine_devices *devices, bool for_good)
{
	if (for_good)
		leave_servers(devices);
	for (unsigned i = devices->count; i-- > 0;) {
		struct machine_device *device = &devices->list[i];

		virtio_mmio_destroy(device->mmio);
		device->mmio = NULL;
		if (!device->dev)
			continue;
		if (device->slot->kind->unwatch)
			device->slot->kind->unwatch(device);
		virtio_device_destroy(device->dev);
		device->dev = NULL;
	}
}

static void for_each(struct machine_devices *devices,
		     void (*call)(struct virtio_device *dev))
{
	for (unsigned i = 0; i < devices->count; i++) {
		struct virtio_device *dev = devices->list[i].dev;

		pthread_mutex_lock(&dev->lock);
		call(dev);
		pthread_mutex_unlock(&dev->lock);
	}
}

void devices_quiesce(struct machine_devices *devices)
{
	for_each(devices, virtio_device_quiesce);
}

void devices_resume(struct machine_devices *devices)
{
	for_each(devices, virtio_device_resume);
}

struct machine_device *devices_find(struct machine_devices *devices,
				    const struct machine_kind *kind,
				    unsigned index)
{
	for (unsigned i = 0; i < devices->count; i++) {
		struct machine_device *device = &devices->list[i];

		if (device->slot->kind == kind && device->slot->index == index)
			return device;
	}
	return NULL;
}
