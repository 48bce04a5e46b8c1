#include "devices/net/vhost_user_net.h"

#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stddef.h>

#include "devices/net/net_config.h"
#include "devices/vhost_user/vhost_user_device.h"

#define RX 0 /* queue numbers, 5.1.2 */
#define QUEUES 2

/* Features between driver and server, in which we have no part. */
#define PASSED                                                               \
	(1ULL << VIRTIO_NET_F_MRG_RXBUF | 1ULL << VIRTIO_NET_F_CSUM |        \
	 1ULL << VIRTIO_NET_F_HOST_TSO4 | 1ULL << VIRTIO_NET_F_HOST_TSO6 |   \
	 1ULL << VIRTIO_NET_F_HOST_ECN | 1ULL << VIRTIO_NET_F_HOST_UFO |     \
	 1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_TSO4 | \
	 1ULL << VIRTIO_NET_F_GUEST_TSO6 | 1ULL << VIRTIO_NET_F_GUEST_ECN |  \
	 1ULL << VIRTIO_NET_F_GUEST_UFO)

const struct vhost_user_kind vhost_user_net_kind = {
	.queues = QUEUES,
	.call_first = true,
};

static struct virtio_net_config *config_of(struct vhost_user_device *vd)
{
	return (void *)vd->config; /* the struct is packed: any alignment */
}

static void link_changed(struct vhost_user_device *vd, bool up)
{
	if (net_config_set_link(config_of(vd), up))
		virtio_device_config_changed(&vd->dev);
}

static void restore_config(struct vhost_user_device *vd)
{
	net_config_set_link(config_of(vd), vhost_user_is_ready(vd->conn));
}

static const struct vhost_user_device_ops net_ops = {
	.waiting = 1u << RX,
	.in_order = true, /* all servers of networks do it; QEMU relies on it */
	.restore_config = restore_config,
	.link = link_changed,
};

static const struct virtio_device_ops device_ops = {
	.device_id = VIRTIO_ID_NET,
	.queue_size = VHOST_USER_NET_QUEUE_SIZE,
	VHOST_USER_DEVICE_OPS,
};

struct virtio_device *
vhost_user_net_create(const struct vhost_user_net_options *options,
		      const struct guest_mem *mem, struct event_loop *loop,
		      struct error *err)
{
	struct vhost_user_device_options device = {
		.device_ops = &device_ops,
		.ops = &net_ops,
		.conn = options->conn,
		.features = PASSED,
		.own_features = net_config_features(options->mtu),
		.queue_count = QUEUES,
		.config_size = offsetof(struct virtio_net_config, speed),
	};
	struct vhost_user_device *vd =
		vhost_user_device_create(&device, mem, loop, err);

	if (!vd)
		return NULL;
	net_config_set(config_of(vd), options->mac, options->mtu);
	net_config_set_link(config_of(vd), vhost_user_is_ready(options->conn));
	return &vd->dev;
}
