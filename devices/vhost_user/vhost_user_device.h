/* A virtio device whose queues a vhost-user back-end serves: what block,
 * network and file system devices of that kind have in common.
 *
 * While the driver is up, each queue is the back-end's or ours. The back-end
 * gets kicks without our doing; its calls come through the event loop, which
 * raises the interrupt. When it is lost, the queues become ours: the requests
 * that were under way, and all that come, end as the device's kind says, until
 * there is a back-end again. The driver notices nothing but that.
 */
#pragma once

#include "base/container_of.h"
#include "devices/vhost_user/ring_watch.h"
#include "devices/vhost_user/vhost_user.h"
#include "devices/virtio/virtio_device.h"

struct vhost_user_device;

/* Constant. */
struct vhost_user_device_ops {
	/* Ends a request that no back-end serves: writes what the driver
	 * expects into the chain and returns how many bytes that were. NULL:
	 * nothing is written. */
	uint32_t (*fail)(const struct chain *chain);

	/* Queues, as bits, whose requests wait for the next back-end. */
	uint32_t waiting;

	/* Requests end in the order in which they came. Where they do not, they
	 * are followed while the back-end has them. */
	bool in_order;

	/* The back-end of the moment said what is in its configuration space:
	 * brings vd->config up to date. NULL where that is ours alone. */
	void (*take_config)(struct vhost_user_device *vd);

	/* There is a back-end, or none any more. May be NULL. */
	void (*link)(struct vhost_user_device *vd, bool up);
};

struct vhost_queue {
	struct vhost_user_device *vd;
	bool theirs;
	/* eventfds, -1 while the queue is stopped; the loop has that of kicks
	 * while the queue is ours */
	struct event_source kick, call;
	struct ring_watch watch;
};

struct vhost_user_device {
	struct virtio_device dev;
	const struct vhost_user_device_ops *ops;
	struct vhost_user *conn;
	uint64_t needed; /* features that every back-end must offer */
	size_t config_needed;
	uint8_t config[VHOST_CONFIG_MAX]; /* as the driver sees it */
	struct vhost_queue queues[VIRTIO_QUEUES_MAX];
};

struct vhost_user_device_options {
	const struct virtio_device_ops *device_ops; /* of the kind's own */
	const struct vhost_user_device_ops *ops;
	struct vhost_user *conn; /* outlives the device */
	uint64_t features;	 /* offered if the back-end does, too */
	uint64_t own_features;	 /* offered in any case */
	unsigned queue_count;
	uint16_t queue_size; /* at most RING_WATCH_MAX */
	size_t config_size;
};

/* Attaches the connection; what its back-end of the moment offers is what the
 * driver gets. mem is shared; it and loop outlive the device. NULL with err set
 * when memory or descriptors run out. */
struct vhost_user_device *
vhost_user_device_create(const struct vhost_user_device_options *options,
			 const struct guest_mem *mem, struct event_loop *loop,
			 struct error *err);
/* The transport is gone. NULL is fine. */
void vhost_user_device_destroy(struct virtio_device *dev);

static inline struct vhost_user_device *
vhost_user_device_of(struct virtio_device *dev)
{
	return container_of(dev, struct vhost_user_device, dev);
}

/* The driver wrote to configuration space that the back-end has, too. */
void vhost_user_device_write_config(struct vhost_user_device *vd, size_t offset,
				    const void *data, size_t size);

/* The virtio_device_ops that all of them have. */
int vhost_user_device_activate(struct virtio_device *dev);
void vhost_user_device_notify(struct virtio_device *dev, unsigned queue);
void vhost_user_device_queue_stop(struct virtio_device *dev, unsigned queue);
int vhost_user_device_kick_fd(struct virtio_device *dev, unsigned queue);

#define VHOST_USER_DEVICE_OPS                   \
	.activate = vhost_user_device_activate, \
	.notify = vhost_user_device_notify,     \
	.kick_fd = vhost_user_device_kick_fd,   \
	.queue_stop = vhost_user_device_queue_stop
