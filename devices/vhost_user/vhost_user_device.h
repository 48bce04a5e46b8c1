/* A virtio device whose queues a vhost-user server serves: what the block,
 * network and file system devices of that kind have in common.
 *
 * While the driver is up, each queue belongs to the server or to us. KVM gives
 * kicks to the server directly; the server's calls come to the event loop,
 * which raises the interrupt. When the server is lost, the queues become ours:
 * requests that were under way, and all new ones, end as the kind of device
 * says, until there is a server again. The driver notices nothing else.
 *
 * All functions run under the device's mutex, but for create and destroy, which
 * belong to the thread that sets up the VM.
 */
#pragma once

#include "base/container_of.h"
#include "devices/vhost_user/ring_watch.h"
#include "devices/vhost_user/vhost_user.h"
#include "devices/virtio/virtio_device.h"

struct vhost_user_device;

/* What a kind of device adds. Constant. */
struct vhost_user_device_ops {
	/* Ends a request that no server serves: writes what the driver expects
	 * into the chain, and returns how many bytes it wrote. NULL: nothing is
	 * written. */
	uint32_t (*fail)(const struct chain *chain);

	/* Queues, as bits, whose requests wait for the next server. */
	uint32_t waiting;

	/* Whether requests end in the order in which they came. If not, a
	 * ring_watch keeps track of them. */
	bool in_order;

	/* Copies the configuration space that the server has told to
	 * vd->config. NULL: all of it is ours. */
	void (*take_config)(struct vhost_user_device *vd);

	/* vd->config is what the driver saw when the state was saved: tells the
	 * server what the driver has written, and brings the rest up to date.
	 * NULL: nothing changes. */
	void (*restore_config)(struct vhost_user_device *vd);

	/* A server is there (up), or it has been lost. May be NULL. */
	void (*link)(struct vhost_user_device *vd, bool up);
};

struct vhost_queue {
	struct vhost_user_device *vd;
	bool theirs; /* the server's */
	/* Eventfds, -1 while the queue is stopped. The event loop watches that
	 * of kicks while the queue is ours. */
	struct event_source kick, call;
	struct ring_watch watch;
};

struct vhost_user_device {
	struct virtio_device dev;
	const struct vhost_user_device_ops *ops;
	struct vhost_user *conn;
	uint64_t needed;      /* features that every server must offer */
	size_t config_needed; /* and bytes of configuration space */
	/* As the driver sees it: the state saved in a snapshot. */
	uint8_t config[VHOST_CONFIG_MAX];
	struct vhost_queue queues[VIRTIO_QUEUES_MAX];
};

struct vhost_user_device_options {
	/* The kind's own; its queue_size is at most RING_WATCH_MAX. */
	const struct virtio_device_ops *device_ops;
	const struct vhost_user_device_ops *ops;
	struct vhost_user *conn; /* outlives the device */
	uint64_t features;	 /* offered if the server offers them */
	uint64_t own_features;	 /* offered in any case */
	unsigned queue_count;
	size_t config_size; /* bytes of it that the driver sees */
};

/* Creates a device that offers what the server offers now, and attaches it to
 * the connection. mem is shared; it and loop outlive the device. NULL with err
 * set when memory or descriptors run out. */
struct vhost_user_device *
vhost_user_device_create(const struct vhost_user_device_options *options,
			 const struct guest_mem *mem, struct event_loop *loop,
			 struct error *err);

static inline struct vhost_user_device *
vhost_user_device_of(struct virtio_device *dev)
{
	return container_of(dev, struct vhost_user_device, dev);
}

/* Passes on to the server what the driver wrote to configuration space. */
void vhost_user_device_write_config(struct vhost_user_device *vd, size_t offset,
				    const void *data, size_t size);

/* The operations that all these devices share, and a macro that lists them. */
int vhost_user_device_activate(struct virtio_device *dev);
void vhost_user_device_notify(struct virtio_device *dev, unsigned queue);
void vhost_user_device_queue_stop(struct virtio_device *dev, unsigned queue);
int vhost_user_device_kick_fd(struct virtio_device *dev, unsigned queue);
void vhost_user_device_quiesce(struct virtio_device *dev);
int vhost_user_device_resume(struct virtio_device *dev);
void vhost_user_device_destroy(struct virtio_device *dev);

#define VHOST_USER_DEVICE_OPS                                           \
	.name = "vhost-user", .size = sizeof(struct vhost_user_device), \
	.activate = vhost_user_device_activate,                         \
	.notify = vhost_user_device_notify,                             \
	.kick_fd = vhost_user_device_kick_fd,                           \
	.queue_stop = vhost_user_device_queue_stop,                     \
	.quiesce = vhost_user_device_quiesce,                           \
	.resume = vhost_user_device_resume,                             \
	.destroy = vhost_user_device_destroy
