#include "vmm/machine.h"

#include <string.h>

#include "base/cleanup.h"
#include "devices/net_tap.h"
#include "devices/vhost_device.h"
#include "devices/vhost_user_blk.h"
#include "devices/vhost_user_fs.h"
#include "devices/vhost_user_net.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_net.h"
#include "devices/virtio_rng.h"
#include "vmm/kvm.h"
#include "vmm/vm.h"

static int create_disk(struct vm *vm, unsigned index, struct vm_device *device,
		       struct error *err)
{
	const struct config_disk *disk = &vm->config->disks[index];
	struct vhost_user *server = vm->resources->disk_servers[index];
	const struct virtio_blk_options options = {
		.disk = &vm->resources->disks[index],
		.serial = disk->serial ? disk->serial : disk->id,
	};

	if (server) {
		device->destroy = vhost_device_destroy;
		device->dev =
			vhost_user_blk_create(server, &vm->mem, vm->loop, err);
		return device->dev ? 0 : -1;
	}
	device->destroy = virtio_blk_destroy;
	device->dev = virtio_blk_create(&options, &vm->mem, vm->loop, err);
	return device->dev ? 0 : error_wrap(err, "%s", disk->id);
}

static void set_address(uint8_t mac[NET_MAC_LEN], const struct config_net *net)
{
	if (net->mac.set)
		memcpy(mac, net->mac.bytes, NET_MAC_LEN);
	else
		net_tap_mac(net->tap ? net->tap : net->vhost_user, mac);
}

static int create_server_net(struct vm *vm, unsigned index,
			     struct vm_device *device, struct error *err)
{
	const struct config_net *net = &vm->config->nets[index];
	struct vhost_user_net_options options = {
		.conn = vm->resources->net_servers[index],
		.mtu = (uint16_t)net->mtu,
	};

	set_address(options.mac, net);
	device->destroy = vhost_device_destroy;
	device->dev = vhost_user_net_create(&options, &vm->mem, vm->loop, err);
	return device->dev ? 0 : -1;
}

static int create_net(struct vm *vm, unsigned index, struct vm_device *device,
		      struct error *err)
{
	const struct config_net *net = &vm->config->nets[index];
	struct virtio_net_options options = {
		.tap_fd = vm->resources->taps[index],
		.mtu = (uint16_t)net->mtu,
	};

	if (net->vhost_user)
		return create_server_net(vm, index, device, err);
	set_address(options.mac, net);
	device->destroy = virtio_net_destroy;
	device->dev = virtio_net_create(&options, &vm->mem, vm->loop, err);
	return device->dev ? 0 : error_wrap(err, "net %s", net->tap);
}

static int create_share(struct vm *vm, unsigned index, struct vm_device *device,
			struct error *err)
{
	struct share_server *share = &vm->resources->shares[index];
	int ret;

	if (resources_serve_share(vm->resources, vm->config, index, err))
		return -1;
	ret = virtiofsd_watch(&share->daemon, vm->loop);
	if (ret)
		return error_set(err, ERROR_IO, -ret, "virtiofsd");
	device->destroy = vhost_device_destroy;
	device->dev = vhost_user_fs_create(share->conn, share->daemon.tag,
					   &vm->mem, vm->loop, err);
	return device->dev ? 0 : -1;
}

static int create_rng(struct vm *vm, unsigned index, struct vm_device *device,
		      struct error *err)
{
	(void)index;
	device->destroy = virtio_rng_destroy;
	device->dev = virtio_rng_create(&vm->mem, vm->loop, err);
	return device->dev ? 0 : -1;
}

static int (*const creators[])(struct vm *vm, unsigned index,
			       struct vm_device *device, struct error *err) = {
	[SLOT_DISK] = create_disk,
	[SLOT_NET] = create_net,
	[SLOT_SHARE] = create_share,
	[SLOT_RNG] = create_rng,
};

static int attach_kick(void *ctx, uint64_t addr, uint32_t datum, int fd)
{
	return kvm_attach_ioevent(((struct vm *)ctx)->fd, addr, datum, fd);
}

static void detach_kick(void *ctx, uint64_t addr, uint32_t datum, int fd)
{
	kvm_detach_ioevent(((struct vm *)ctx)->fd, addr, datum, fd);
}

static const struct virtio_kick_ops kick_ops = {
	.attach = attach_kick,
	.detach = detach_kick,
};

static int create_device(struct vm *vm, const struct device_slot *slot,
			 struct vm_device *device, struct error *err)
{
	struct virtio_mmio_config config = {
		.base = slot->base,
		.kick_ops = &kick_ops,
		.kick_ctx = vm,
	};
	struct bus_range range = {
		.name = "virtio-mmio",
		.base = slot->base,
		.size = slot->size,
		.ops = &virtio_mmio_bus_ops,
	};

	if (vm_create_irq(vm, slot->gsi, &config.irq, err) ||
	    creators[slot->kind](vm, slot->index, device, err))
		return -1;
	device->mmio = virtio_mmio_create(device->dev, &config, err);
	if (!device->mmio)
		return -1;
	range.dev = device->mmio;
	range.lock = &device->dev->lock;
	return bus_add(&vm->mmio, &range, err);
}

int machine_create_devices(struct vm *vm, struct error *err)
{
	for (unsigned i = 0; i < vm->layout->slot_count; i++)
		if (create_device(vm, &vm->layout->slots[i], &vm->devices[i],
				  err))
			return -1;
	return 0;
}

void machine_destroy_devices(struct vm *vm)
{
	/* who ends the VM does not want to wait for servers that may take
	 * their time to give back their rings */
	if (vm->stop.reason != VM_STOP_REBOOT || vm->config->no_reboot)
		resources_leave_servers(vm->resources);
	for (unsigned i = 0; i < vm->config->share_count; i++)
		virtiofsd_unwatch(&vm->resources->shares[i].daemon);
	for (unsigned i = vm->layout->slot_count; i-- > 0;) {
		struct vm_device *device = &vm->devices[i];

		virtio_mmio_destroy(device->mmio);
		if (device->dev)
			device->destroy(device->dev);
	}
}
