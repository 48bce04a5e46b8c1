#include "vmm/machine/machine.h"

#include <string.h>

#include "base/cleanup.h"
#include "devices/block/vhost_user_blk.h"
#include "devices/block/virtio_blk.h"
#include "devices/block/virtio_pmem.h"
#include "devices/console/virtio_console.h"
#include "devices/net/net_tap.h"
#include "devices/net/vhost_net.h"
#include "devices/net/vhost_user_net.h"
#include "devices/net/virtio_net.h"
#include "devices/vhost_user/vhost_user_device.h"
#include "devices/vhost_user_fs.h"
#include "devices/virtio_balloon.h"
#include "devices/virtio_rng.h"
#include "devices/vsock/virtio_vsock.h"
#include "vmm/host/unix_socket.h"
#include "vmm/machine/discard.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/vm.h"

/* One per vCPU, unless said otherwise. */
static unsigned disk_queues(const struct vm_config *config,
			    const struct config_disk *disk)
{
	uint64_t queues = disk->queues ? disk->queues : config->cpus;

	return queues < VIRTIO_BLK_QUEUES_MAX ? (unsigned)queues
					      : VIRTIO_BLK_QUEUES_MAX;
}

static struct rate_limits rate_limits(const struct config_limit *limit)
{
	return (struct rate_limits){
		.bytes = { limit->bw, limit->bw_burst },
		.ops = { limit->ops, limit->ops_burst },
	};
}

static int create_disk(struct vm *vm, unsigned index, struct vm_device *device,
		       struct error *err)
{
	const struct config_disk *disk = &vm->config->disks[index];
	struct vhost_user *server = vm->resources->disk_servers[index];
	const struct virtio_blk_options options = {
		.disk = &vm->resources->disks[index],
		.queues = disk_queues(vm->config, disk),
		.limits = rate_limits(&disk->limit),
		.unsafe = disk->cache == CACHE_UNSAFE,
		.serial = disk->serial ? disk->serial : disk->id,
	};
	struct event_loop *loop;

	if (server) {
		device->destroy = vhost_user_device_destroy;
		device->dev =
			vhost_user_blk_create(server, &vm->mem, vm->loop, err);
		return device->dev ? 0 : -1;
	}
	loop = iothread_loop(vm, disk->iothread, err);
	if (!loop)
		return error_wrap(err, "%s", disk->id);
	device->destroy = virtio_blk_destroy;
	device->dev = virtio_blk_create(&options, &vm->mem, loop, err);
	if (!device->dev)
		return error_wrap(err, "%s", disk->id);
	if (disk->iothread) /* which is there to take work off the vCPUs */
		device->dev->kick_inline = false;
	return 0;
}

static void set_address(uint8_t mac[NET_MAC_LEN], const struct config_net *net)
{
	if (net->mac.set)
		memcpy(mac, net->mac.bytes, NET_MAC_LEN);
	else
		net_tap_mac(config_net_name(net), mac);
}

static uint16_t mtu_of(const struct config_net *net)
{
	/* passt's is not the one that guests start with */
	return (uint16_t)(net->user && !net->mtu ? CONFIG_USER_MTU : net->mtu);
}

static int create_server_net(struct vm *vm, unsigned index,
			     struct vm_device *device, struct error *err)
{
	const struct config_net *net = &vm->config->nets[index];
	struct vhost_user_net_options options = {
		.conn = resources_net_server(vm->resources, index, err),
		.mtu = mtu_of(net),
	};

	if (!options.conn)
		return -1;
	set_address(options.mac, net);
	device->destroy = vhost_user_device_destroy;
	device->dev = vhost_user_net_create(&options, &vm->mem, vm->loop, err);
	return device->dev ? 0 : -1;
}

static int create_kernel_net(struct vm *vm, unsigned index,
			     struct event_loop *loop, struct vm_device *device,
			     struct error *err)
{
	const struct config_net *net = &vm->config->nets[index];
	struct vhost_net_options options = {
		.kernel = &vm->resources->nets[index].kernel,
		.backend = &vm->resources->nets[index].taps[0].backend,
		.mtu = (uint16_t)net->mtu,
	};

	set_address(options.mac, net);
	device->destroy = vhost_net_destroy;
	device->dev = vhost_net_create(&options, &vm->mem, loop, err);
	return device->dev ? 0 : -1;
}

static int create_pmem(struct vm *vm, unsigned index, struct vm_device *device,
		       struct error *err)
{
	const struct layout_range *range = &vm->layout->pmems[index];
	const struct disk *file = &vm->resources->pmems[index];
	const struct virtio_pmem_options options = {
		.start = range->base,
		.size = range->size,
		.fd = file->readonly ? -1 : file->fd,
	};

	device->destroy = virtio_pmem_destroy;
	device->dev = virtio_pmem_create(&options, &vm->mem, vm->loop, err);
	return device->dev ? 0 : -1;
}

static int create_net(struct vm *vm, unsigned index, struct vm_device *device,
		      struct error *err)
{
	const struct config_net *net = &vm->config->nets[index];
	struct virtio_net_options options = {
		.mtu = mtu_of(net),
		.rx_limits = rate_limits(&net->rx_limit),
		.tx_limits = rate_limits(&net->tx_limit),
	};
	struct event_loop *loop;

	if (resources_net_is_served(vm->resources, index))
		return create_server_net(vm, index, device, err);
	loop = iothread_loop(vm, net->iothread, err);
	if (!loop)
		return error_wrap(err, "net %s", config_net_name(net));
	if (net->vhost)
		return create_kernel_net(vm, index, loop, device, err);
	set_address(options.mac, net);
	options.pairs = resources_net(vm->resources, index, options.backends);
	device->destroy = virtio_net_destroy;
	device->dev = virtio_net_create(&options, &vm->mem, loop, err);
	if (!device->dev)
		return error_wrap(err, "net %s", config_net_name(net));
	return 0;
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
	device->destroy = vhost_user_device_destroy;
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

static int create_vsock(struct vm *vm, unsigned index, struct vm_device *device,
			struct error *err)
{
	const struct virtio_vsock_options options = {
		.listen_fd = vm->resources->vsock.fd,
		.connect = unix_socket_connect_port,
		.connect_ctx = vm->config->vsock.path,
		.guest_cid = (uint32_t)vm->config->vsock.cid,
	};

	(void)index;
	device->destroy = virtio_vsock_destroy;
	device->dev = virtio_vsock_create(&options, &vm->mem, vm->loop, err);
	return device->dev ? 0 : -1;
}

static int discard(void *ctx, uint8_t *host, uint64_t len)
{
	return vm_discard(ctx, host, len);
}

static int create_balloon(struct vm *vm, unsigned index,
			  struct vm_device *device, struct error *err)
{
	const struct config_balloon *balloon = &vm->config->balloon;
	const struct virtio_balloon_options options = {
		.target = balloon->size,
		.stats_every = (unsigned)balloon->stats,
		.reporting = !balloon->no_reporting,
		.discard = discard,
		.ctx = vm,
	};

	(void)index;
	device->destroy = virtio_balloon_destroy;
	device->dev = virtio_balloon_create(&options, &vm->ram, vm->loop, err);
	return device->dev ? 0 : -1;
}

static int create_console(struct vm *vm, unsigned index,
			  struct vm_device *device, struct error *err)
{
	const struct virtio_console_options options = {
		.backend = &console_backend,
		.backend_ctx = vm->resources->hvc,
	};

	(void)index;
	device->destroy = virtio_console_destroy;
	device->dev = virtio_console_create(&options, &vm->mem, vm->loop, err);
	vm->hvc = device->dev;
	return device->dev ? 0 : error_wrap(err, "hvc");
}

static int (*const creators[])(struct vm *vm, unsigned index,
			       struct vm_device *device, struct error *err) = {
	[SLOT_DISK] = create_disk,	 [SLOT_PMEM] = create_pmem,
	[SLOT_NET] = create_net,	 [SLOT_SHARE] = create_share,
	[SLOT_RNG] = create_rng,	 [SLOT_VSOCK] = create_vsock,
	[SLOT_BALLOON] = create_balloon, [SLOT_CONSOLE] = create_console,
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
		.irq = vm_irq_line(vm, slot->gsi),
		.kick_ops = &kick_ops,
		.kick_ctx = vm,
	};
	struct bus_range range = {
		.name = "virtio-mmio",
		.base = slot->base,
		.size = slot->size,
		.ops = &virtio_mmio_bus_ops,
	};

	if (creators[slot->kind](vm, slot->index, device, err))
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

struct virtio_device *machine_disk(const struct vm *vm, unsigned index)
{
	for (unsigned i = 0; i < vm->layout->slot_count; i++)
		if (vm->layout->slots[i].kind == SLOT_DISK &&
		    vm->layout->slots[i].index == index)
			return vm->devices[i].dev;
	return NULL;
}
