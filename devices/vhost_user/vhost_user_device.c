#include "devices/vhost_user/vhost_user_device.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "base/log.h"
#include "devices/vhost_user/vhost_queue.h"

#define RING_FEATURES \
	(1ULL << VIRTIO_RING_F_INDIRECT_DESC | 1ULL << VIRTIO_RING_F_EVENT_IDX)

/* --- queues --- */

static int hand_over_all(struct vhost_user_device *vd)
{
	struct virtio_device *dev = &vd->dev;

	if (vhost_user_set_features(vd->conn, dev->driver_features) ||
	    vhost_user_set_memory(vd->conn, dev->mem))
		return -EIO;
	for (unsigned i = 0; i < dev->queue_count; i++)
		if (dev->queues[i].state.ready &&
		    vhost_queue_hand_over(&vd->queues[i]))
			return -EIO;
	return 0;
}

static void take_back_all(struct vhost_user_device *vd)
{
	int ret = 0;

	for (unsigned i = 0; i < vd->dev.queue_count; i++) {
		struct vhost_queue *q = &vd->queues[i];

		if (q->theirs)
			ret |= vhost_queue_take_back(q);
		else if (vd->dev.holds && q->kick.fd >= 0)
			ret |= vhost_queue_renew(q);
	}
	if (ret)
		virtio_device_broken(&vd->dev,
				     "its back-end is gone, and what "
				     "was under way unknown");
}

/* --- the connection's events --- */

static void say_link(struct vhost_user_device *vd, bool up)
{
	if (vd->ops->link)
		vd->ops->link(vd, up);
}

static void on_lost(void *ctx)
{
	struct vhost_user_device *vd = ctx;

	if (virtio_device_up(&vd->dev) || vd->dev.holds)
		take_back_all(vd);
	say_link(vd, false);
}

/* A call to the connection lost it. The connection reports by its events only
 * what is lost otherwise. */
static void lost_by_us(struct vhost_user_device *vd)
{
	log_guest(LOG_WARN, "%s: %s", vhost_user_name(vd->conn),
		  vhost_user_reason(vd->conn));
	on_lost(vd);
}

/* A state that was loaded keeps its configuration space until the device goes
 * on: restore_config() still has to tell the server what is in it. */
static void take_config(struct vhost_user_device *vd)
{
	uint8_t before[VHOST_CONFIG_MAX];

	if (!vd->ops->take_config || vd->dev.loaded)
		return;
	memcpy(before, vd->config, sizeof(before));
	vd->ops->take_config(vd);
	if (memcmp(before, vd->config, sizeof(before)) != 0)
		virtio_device_config_changed(&vd->dev);
}

static void on_ready(void *ctx)
{
	struct vhost_user_device *vd = ctx;
	const struct vhost_user_offer *offer = vhost_user_offer(vd->conn);

	if ((offer->features & vd->needed) != vd->needed ||
	    offer->queues < vd->dev.queue_count ||
	    offer->config_size < vd->config_needed) {
		vhost_user_drop(vd->conn, "");
		log_guest(LOG_WARN,
			  "%s: the back-end that is there now offers less "
			  "than the one before",
			  vhost_user_name(vd->conn));
		return;
	}
	log_guest(LOG_WARN, "%s: connected again", vhost_user_name(vd->conn));
	take_config(vd);
	if (virtio_device_up(&vd->dev) && hand_over_all(vd)) {
		lost_by_us(vd);
		return;
	}
	say_link(vd, true);
}

static void on_config_changed(void *ctx)
{
	take_config(ctx);
}

static const struct vhost_user_events conn_events = {
	.lost = on_lost,
	.ready = on_ready,
	.config_changed = on_config_changed,
};

/* --- the driver --- */

/* Also how the device goes on after a pause. */
int vhost_user_device_activate(struct virtio_device *dev)
{
	struct vhost_user_device *vd = vhost_user_device_of(dev);

	for (unsigned i = 0; i < dev->queue_count; i++) {
		int ret = dev->queues[i].state.ready
				  ? vhost_queue_open(&vd->queues[i])
				  : 0;

		if (ret)
			return ret;
	}
	if (vhost_user_is_ready(vd->conn) && hand_over_all(vd))
		lost_by_us(vd);
	/* what stays ours is served when the event loop comes to it */
	for (unsigned i = 0; i < dev->queue_count; i++)
		if (dev->queues[i].state.ready && !vd->queues[i].theirs)
			vhost_queue_wake(&vd->queues[i]);
	return 0;
}

void vhost_user_device_notify(struct virtio_device *dev, unsigned queue)
{
	vhost_queue_wake(&vhost_user_device_of(dev)->queues[queue]);
}

int vhost_user_device_kick_fd(struct virtio_device *dev, unsigned queue)
{
	return vhost_user_device_of(dev)->queues[queue].kick.fd;
}

/* Has the server stop a queue, for which it may need some time. The event loop
 * does not watch calls meanwhile: it would wait for the device's mutex. */
static int stop_theirs(struct vhost_user_device *vd, unsigned queue, bool wait)
{
	int ret;

	for (unsigned i = 0; i < vd->dev.queue_count; i++)
		vhost_queue_unwatch_calls(&vd->queues[i]);
	ret = vhost_queue_stop(&vd->queues[queue], wait);
	if (ret == -EIO)
		lost_by_us(vd);
	for (unsigned i = 0; i < vd->dev.queue_count; i++)
		if (vd->queues[i].theirs &&
		    vhost_queue_watch_calls(&vd->queues[i]))
			virtio_device_broken(&vd->dev, "no calls");
	return ret;
}

void vhost_user_device_queue_stop(struct virtio_device *dev, unsigned queue)
{
	struct vhost_user_device *vd = vhost_user_device_of(dev);
	struct vhost_queue *q = &vd->queues[queue];

	if (q->theirs && vhost_user_is_ready(vd->conn))
		stop_theirs(vd, queue, true);
	q->theirs = false;
	vhost_queue_close(q);
}

/* A server that is lost meanwhile is treated as at any other time: its requests
 * end as they do without one. Once it was late for one ring, it is not waited
 * for again: the device is broken by then. */
void vhost_user_device_quiesce(struct virtio_device *dev)
{
	struct vhost_user_device *vd = vhost_user_device_of(dev);
	bool late = false;

	for (unsigned i = 0; i < dev->queue_count; i++) {
		struct vhost_queue *q = &vd->queues[i];
		int ret = -EIO;

		if (!q->theirs)
			continue;
		if (vhost_user_is_ready(vd->conn))
			ret = stop_theirs(vd, i, !late);
		if (ret == -EIO)
			ret = vhost_queue_take_back(q);
		late |= ret == -ETIMEDOUT;
		if (ret)
			virtio_device_broken(dev, "a ring does not come back");
		virtio_device_interrupt_always(dev, i);
	}
}

int vhost_user_device_resume(struct virtio_device *dev)
{
	struct vhost_user_device *vd = vhost_user_device_of(dev);

	if (dev->loaded && vd->ops->restore_config)
		vd->ops->restore_config(vd);
	return virtio_device_up(dev) ? vhost_user_device_activate(dev) : 0;
}

/* --- life --- */

void vhost_user_device_write_config(struct vhost_user_device *vd, size_t offset,
				    const void *data, size_t size)
{
	if (vhost_user_set_config(vd->conn, offset, data, size))
		lost_by_us(vd);
}

static void init(struct vhost_user_device *vd,
		 const struct vhost_user_device_options *options)
{
	const struct vhost_user_offer *offer = vhost_user_offer(options->conn);

	vd->ops = options->ops;
	vd->conn = options->conn;
	vd->needed = offer->features &
		     (options->features | RING_FEATURES |
		      1ULL << VIRTIO_F_VERSION_1) &
		     ~options->own_features;
	vd->config_needed = offer->config_size;
	vd->dev.features = vd->needed | options->own_features;
	vd->dev.config = vd->config;
	vd->dev.config_size = options->config_size;
	vd->dev.state = vd->config;
	vd->dev.state_size = sizeof(vd->config);
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		vhost_queue_init(&vd->queues[i], vd);
	if (vd->ops->take_config)
		vd->ops->take_config(vd);
}

struct vhost_user_device *
vhost_user_device_create(const struct vhost_user_device_options *options,
			 const struct guest_mem *mem, struct event_loop *loop,
			 struct error *err)
{
	struct virtio_device *dev = virtio_device_create(
		options->device_ops, mem, loop, 0, options->queue_count, err);
	int ret;

	if (!dev) {
		error_wrap(err, "%s", vhost_user_name(options->conn));
		return NULL;
	}
	init(vhost_user_device_of(dev), options);
	ret = vhost_user_attach(options->conn, loop, &dev->lock, &conn_events,
				vhost_user_device_of(dev));
	if (ret == 0)
		return vhost_user_device_of(dev);
	error_set(err, ERROR_IO, -ret, "%s", vhost_user_name(options->conn));
	virtio_device_destroy(dev);
	return NULL;
}

void vhost_user_device_destroy(struct virtio_device *dev)
{
	vhost_user_detach(vhost_user_device_of(dev)->conn);
}
