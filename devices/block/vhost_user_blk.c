#include "devices/block/vhost_user_blk.h"

#include <endian.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <string.h>

#include "devices/vhost_user/vhost_user_device.h"

/* Features that concern only driver and server. SIZE_MAX is not among them,
 * because some servers offer it with a limit of 0. */
#define PASSED                                                          \
	(1ULL << VIRTIO_BLK_F_SEG_MAX | 1ULL << VIRTIO_BLK_F_GEOMETRY | \
	 1ULL << VIRTIO_BLK_F_RO | 1ULL << VIRTIO_BLK_F_BLK_SIZE |      \
	 1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_TOPOLOGY |   \
	 1ULL << VIRTIO_BLK_F_CONFIG_WCE | 1ULL << VIRTIO_BLK_F_MQ |    \
	 1ULL << VIRTIO_BLK_F_DISCARD | 1ULL << VIRTIO_BLK_F_WRITE_ZEROES)

/* Servers refuse to tell more of configuration space than they have. This is
 * what these features need (5.2.4). */
static size_t config_size(uint64_t features)
{
	if (features >> VIRTIO_BLK_F_WRITE_ZEROES & 1)
		return offsetof(struct virtio_blk_config, unused1) +
		       sizeof(((struct virtio_blk_config *)0)->unused1);
	if (features >> VIRTIO_BLK_F_DISCARD & 1)
		return offsetof(struct virtio_blk_config,
				max_write_zeroes_sectors);
	return offsetof(struct virtio_blk_config, max_discard_sectors);
}

const struct vhost_user_kind vhost_user_blk_kind = {
	.config_size = config_size,
	.queues = 1,
};

/* 5.2.4: num_queues counts only if the server offers MQ. */
static unsigned queue_count(const struct vhost_user_offer *offer)
{
	const struct virtio_blk_config *config = (const void *)offer->config;
	unsigned count = 1;

	if (offer->features >> VIRTIO_BLK_F_MQ & 1)
		count = le16toh(config->num_queues);
	if (count > offer->queues)
		count = offer->queues;
	if (count > VIRTIO_QUEUES_MAX)
		count = VIRTIO_QUEUES_MAX;
	return count ? count : 1;
}

static struct virtio_blk_config *config_of(struct vhost_user_device *vd)
{
	return (void *)vd->config; /* the struct is packed: any alignment */
}

/* Takes what the server tells, but keeps the device's number of queues, which
 * cannot change. */
static void take_config(struct vhost_user_device *vd)
{
	memcpy(vd->config, vhost_user_offer(vd->conn)->config,
	       vd->dev.config_size);
	config_of(vd)->num_queues = htole16((uint16_t)vd->dev.queue_count);
}

/* Fails the request. Its status is the last byte that the device may write
 * (5.2.6). */
static uint32_t fail(const struct chain *chain)
{
	const struct iovec *last;

	if (!chain->in_count)
		return 0;
	last = &chain->iov[chain->out_count + chain->in_count - 1];
	((uint8_t *)last->iov_base)[last->iov_len - 1] = VIRTIO_BLK_S_IOERR;
	return 1;
}

/* 5.2.4: a driver may write the cache mode and nothing else. */
static void config_write(struct virtio_device *dev, size_t offset,
			 const void *data, size_t size)
{
	struct vhost_user_device *vd = vhost_user_device_of(dev);

	if (offset != offsetof(struct virtio_blk_config, wce) || size != 1 ||
	    !virtio_has_feature(dev, VIRTIO_BLK_F_CONFIG_WCE))
		return;
	memcpy(vd->config + offset, data, size);
	vhost_user_device_write_config(vd, offset, data, size);
}

static void restore_config(struct vhost_user_device *vd)
{
	uint8_t mode = config_of(vd)->wce;

	take_config(vd);
	config_write(&vd->dev, offsetof(struct virtio_blk_config, wce), &mode,
		     sizeof(mode));
}

static const struct vhost_user_device_ops blk_ops = {
	.fail = fail,
	.take_config = take_config,
	.restore_config = restore_config,
};

static const struct virtio_device_ops device_ops = {
	.device_id = VIRTIO_ID_BLOCK,
	.queue_size = VHOST_USER_BLK_QUEUE_SIZE,
	.config_write = config_write,
	VHOST_USER_DEVICE_OPS,
};

struct virtio_device *vhost_user_blk_create(struct vhost_user *conn,
					    const struct guest_mem *mem,
					    struct event_loop *loop,
					    struct error *err)
{
	const struct vhost_user_offer *offer = vhost_user_offer(conn);
	const struct vhost_user_device_options options = {
		.device_ops = &device_ops,
		.ops = &blk_ops,
		.conn = conn,
		.features = PASSED,
		.queue_count = queue_count(offer),
		.config_size = offer->config_size,
	};
	struct vhost_user_device *vd =
		vhost_user_device_create(&options, mem, loop, err);

	return vd ? &vd->dev : NULL;
}
