#include "devices/vhost_user/vhost_user_device.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/wake.h"

#define TURN_REQUESTS 64

/* A back-end that has stopped a ring may take a part of what an answer may, to
 * end what it took from it before. */
#define DRAIN_PART 5
#define DRAIN_STEP_MS 1 /* how often to look */

#define RING_FEATURES \
	(1ULL << VIRTIO_RING_F_INDIRECT_DESC | 1ULL << VIRTIO_RING_F_EVENT_IDX)

/* An eventfd that a back-end has, too, may block: that can be changed by
 * whoever has it. */
static void wake_shared(int fd)
{
	struct pollfd out = { .fd = fd, .events = POLLOUT };

	if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT))
		wake(fd);
}

/* --- queues of ours --- */

static bool waits(const struct vhost_user_device *vd, unsigned queue)
{
	return vd->ops->waiting >> queue & 1;
}

static void fail_request(struct vhost_user_device *vd, struct virtqueue *vq,
			 const struct chain *chain)
{
	uint32_t written = vd->ops->fail ? vd->ops->fail(chain) : 0;

	virtqueue_push(vq, chain->head, written);
}

static int fail_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct chain chain;
	int ret = virtqueue_pop(vq, &chain);

	if (ret > 0)
		fail_request(vhost_user_device_of(dev), vq, &chain);
	return ret;
}

static void serve_ours(struct vhost_user_device *vd, unsigned queue)
{
	if (!waits(vd, queue))
		virtio_device_serve(&vd->dev, queue, TURN_REQUESTS, fail_next);
}

static unsigned index_of(const struct vhost_queue *q)
{
	return (unsigned)(q - q->vd->queues);
}

/* --- eventfds --- */

/* Edge-triggered and never read: whoever shares the descriptor can make reading
 * wait. */
static void kick_ready(struct event_source *source, uint32_t events)
{
	struct vhost_queue *q = container_of(source, struct vhost_queue, kick);

	(void)events;
	if (virtio_device_up(&q->vd->dev) && !q->theirs)
		serve_ours(q->vd, index_of(q));
}

static int watch_calls(struct vhost_queue *q)
{
	return event_loop_add(q->vd->dev.loop, &q->call, EPOLLIN | EPOLLET);
}

static int watch_queue(struct vhost_queue *q)
{
	int ret = event_loop_add(q->vd->dev.loop, &q->kick, EPOLLIN | EPOLLET);

	return ret ? ret : watch_calls(q);
}

static void unwatch_queue(struct vhost_queue *q)
{
	event_loop_remove(q->vd->dev.loop, &q->kick);
	event_loop_remove(q->vd->dev.loop, &q->call);
}

static void close_eventfds(struct vhost_queue *q)
{
	cleanup_close(&q->kick.fd);
	cleanup_close(&q->call.fd);
	q->kick.fd = q->call.fd = -1;
}

static int open_eventfds(struct vhost_queue *q)
{
	int ret = 0;

	q->kick.fd = wake_open();
	q->call.fd = wake_open();
	if (q->kick.fd < 0 || q->call.fd < 0) {
		ret = -errno;
		close_eventfds(q);
	}
	return ret;
}

static int open_queue(struct vhost_queue *q)
{
	int ret = open_eventfds(q);

	return ret ? ret : watch_queue(q);
}

static void close_queue(struct vhost_queue *q)
{
	unwatch_queue(q);
	close_eventfds(q);
}

/* A back-end that is gone may have kept its eventfds, and take the kicks that
 * are for us or for the next one. If others cannot be had, these stay. */
static int renew_queue(struct vhost_queue *q)
{
	struct vhost_user_device *vd = q->vd;
	int kick = q->kick.fd, call = q->call.fd;

	unwatch_queue(q);
	if (open_eventfds(q) == 0) {
		virtio_device_kick_fd_changed(&vd->dev, index_of(q));
		close(kick);
		close(call);
	} else {
		q->kick.fd = kick;
		q->call.fd = call;
	}
	return watch_queue(q);
}

/* Ends what the back-end had under way. */
static int fail_taken(struct vhost_user_device *vd, unsigned queue)
{
	struct virtqueue *vq = &vd->dev.queues[queue];
	struct ring_watch *watch = &vd->queues[queue].watch;
	struct chain chain;
	int head;

	ring_watch_update(watch, vq);
	if (!ring_watch_is_exact(watch))
		return -EPROTO;
	virtqueue_seek(vq, watch->avail, watch->used);
	while ((head = ring_watch_take(watch)) >= 0) {
		if (virtqueue_fetch(vq, (uint16_t)head, &chain))
			return -EPROTO;
		fail_request(vd, vq, &chain);
	}
	return 0;
}

/* Takes a queue back from a back-end that is gone. */
static int take_back(struct vhost_user_device *vd, unsigned queue)
{
	struct virtqueue *vq = &vd->dev.queues[queue];
	struct vhost_queue *q = &vd->queues[queue];
	int ret = 0;

	q->theirs = false;
	if (vd->ops->in_order) {
		uint16_t used = virtqueue_used_idx(vq);

		virtqueue_seek(vq, used, used);
	} else {
		ret = fail_taken(vd, queue);
	}
	if (ret == 0)
		ret = renew_queue(q);
	/* the last call of the back-end may not have come */
	virtio_device_interrupt_always(&vd->dev, queue);
	if (ret == 0)
		serve_ours(vd, queue);
	return ret;
}

static void take_back_all(struct vhost_user_device *vd)
{
	int ret = 0;

	for (unsigned i = 0; i < vd->dev.queue_count; i++)
		if (vd->queues[i].theirs && take_back(vd, i))
			ret = -EPROTO;
	if (ret)
		virtio_device_broken(&vd->dev,
				     "its back-end is gone, and what "
				     "was under way unknown");
}

/* --- queues of the back-end's --- */

static void call_ready(struct event_source *source, uint32_t events)
{
	struct vhost_queue *q = container_of(source, struct vhost_queue, call);
	struct vhost_user_device *vd = q->vd;

	(void)events;
	if (!vd->ops->in_order && q->theirs)
		ring_watch_update(&q->watch, &vd->dev.queues[index_of(q)]);
	virtio_device_interrupt_always(&vd->dev, index_of(q));
}

/* Requests may be there already, for which no kick will come. */
static int hand_over(struct vhost_user_device *vd, unsigned queue)
{
	struct virtqueue *vq = &vd->dev.queues[queue];
	struct vhost_queue *q = &vd->queues[queue];
	const struct vhost_user_ring ring = {
		.size = vq->state.size,
		.base = vq->state.next_avail,
		.desc = vq->state.desc,
		.avail = vq->state.avail,
		.used = vq->state.used,
		.kick = q->kick.fd,
		.call = q->call.fd,
	};

	event_loop_remove(vd->dev.loop, &q->kick);
	ring_watch_reset(&q->watch, vq->state.next_avail, vq->state.next_used);
	q->theirs = true;
	wake_shared(q->kick.fd); /* which nobody else has yet */
	return vhost_user_start_queue(vd->conn, queue, &ring);
}

static int hand_over_all(struct vhost_user_device *vd)
{
	struct virtio_device *dev = &vd->dev;

	if (vhost_user_set_features(vd->conn, dev->driver_features) ||
	    vhost_user_set_memory(vd->conn, dev->mem))
		return -EIO;
	for (unsigned i = 0; i < dev->queue_count; i++)
		if (dev->queues[i].state.ready && hand_over(vd, i))
			return -EIO;
	return 0;
}

/* Waits, but not for ever, for the end of what a back-end has taken from a
 * ring: it would be written to memory that the driver uses for something else
 * by then. */
static void drain(struct vhost_user_device *vd, unsigned queue, uint16_t base)
{
	const struct virtqueue *vq = &vd->dev.queues[queue];
	const unsigned most = vhost_user_timeout(vd->conn) / DRAIN_PART;
	const struct timespec step = { .tv_nsec = DRAIN_STEP_MS * 1000000L };

	for (unsigned ms = 0; ms < most; ms += DRAIN_STEP_MS) {
		if (virtqueue_used_idx(vq) == base)
			return;
		nanosleep(&step, NULL);
	}
	log_guest(LOG_WARN,
		  "a vhost-user back-end still has requests of a "
		  "ring that was stopped");
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

	if (virtio_device_up(&vd->dev))
		take_back_all(vd);
	say_link(vd, false);
}

/* The connection was lost while it was used; its events do not tell. */
static void lost_by_us(struct vhost_user_device *vd)
{
	log_guest(LOG_WARN, "%s: %s", vhost_user_name(vd->conn),
		  vhost_user_reason(vd->conn));
	on_lost(vd);
}

static void take_config(struct vhost_user_device *vd)
{
	uint8_t before[VHOST_CONFIG_MAX];

	if (!vd->ops->take_config)
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

int vhost_user_device_activate(struct virtio_device *dev)
{
	struct vhost_user_device *vd = vhost_user_device_of(dev);
	int ret;

	for (unsigned i = 0; i < dev->queue_count; i++) {
		ret = dev->queues[i].state.ready ? open_queue(&vd->queues[i])
						 : 0;
		if (ret)
			return ret;
	}
	if (vhost_user_is_ready(vd->conn) && hand_over_all(vd))
		lost_by_us(vd);
	/* what stays ours is served when the event loop comes to it */
	for (unsigned i = 0; i < dev->queue_count; i++)
		if (dev->queues[i].state.ready && !vd->queues[i].theirs)
			wake_shared(vd->queues[i].kick.fd);
	return 0;
}

void vhost_user_device_notify(struct virtio_device *dev, unsigned queue)
{
	wake_shared(vhost_user_device_of(dev)->queues[queue].kick.fd);
}

int vhost_user_device_kick_fd(struct virtio_device *dev, unsigned queue)
{
	return vhost_user_device_of(dev)->queues[queue].kick.fd;
}

/* Has the back-end stop a queue, which it may take its time for. Meanwhile no
 * call of this device keeps the event loop waiting for the mutex. */
static void stop_theirs(struct vhost_user_device *vd, unsigned queue)
{
	uint16_t base;

	for (unsigned i = 0; i < vd->dev.queue_count; i++)
		event_loop_remove(vd->dev.loop, &vd->queues[i].call);
	vd->queues[queue].theirs = false;
	if (vhost_user_stop_queue(vd->conn, queue, &base))
		lost_by_us(vd);
	else
		drain(vd, queue, base);
	for (unsigned i = 0; i < vd->dev.queue_count; i++)
		if (vd->queues[i].theirs && watch_calls(&vd->queues[i]))
			virtio_device_broken(&vd->dev, "no calls");
}

void vhost_user_device_queue_stop(struct virtio_device *dev, unsigned queue)
{
	struct vhost_user_device *vd = vhost_user_device_of(dev);
	struct vhost_queue *q = &vd->queues[queue];

	if (q->theirs && vhost_user_is_ready(vd->conn))
		stop_theirs(vd, queue);
	q->theirs = false;
	close_queue(q);
}

/* --- life --- */

void vhost_user_device_write_config(struct vhost_user_device *vd, size_t offset,
				    const void *data, size_t size)
{
	if (vhost_user_set_config(vd->conn, offset, data, size))
		lost_by_us(vd);
}

static int init(struct vhost_user_device *vd,
		const struct vhost_user_device_options *options,
		const struct guest_mem *mem, struct event_loop *loop)
{
	const struct vhost_user_offer *offer = vhost_user_offer(options->conn);
	int ret;

	vd->ops = options->ops;
	vd->conn = options->conn;
	ret = virtio_device_init(&vd->dev, options->device_ops, mem, loop, 0,
				 options->queue_count, options->queue_size);
	vd->needed = offer->features &
		     (options->features | RING_FEATURES |
		      1ULL << VIRTIO_F_VERSION_1) &
		     ~options->own_features;
	vd->config_needed = offer->config_size;
	vd->dev.features = vd->needed | options->own_features;
	vd->dev.config = vd->config;
	vd->dev.config_size = options->config_size;
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		vd->queues[i] = (struct vhost_queue){
			.vd = vd,
			.kick = { .fd = -1,
				  .ready = kick_ready,
				  .lock = &vd->dev.lock },
			.call = { .fd = -1,
				  .ready = call_ready,
				  .lock = &vd->dev.lock },
		};
	if (vd->ops->take_config)
		vd->ops->take_config(vd);
	return ret;
}

struct vhost_user_device *
vhost_user_device_create(const struct vhost_user_device_options *options,
			 const struct guest_mem *mem, struct event_loop *loop,
			 struct error *err)
{
	struct vhost_user_device *vd = calloc(1, sizeof(*vd));
	int ret = -ENOMEM;

	if (vd) {
		ret = init(vd, options, mem, loop);
		if (ret == 0)
			ret = vhost_user_attach(vd->conn, loop, &vd->dev.lock,
						&conn_events, vd);
	}
	if (ret == 0)
		return vd;
	if (vd)
		virtio_device_destroy(&vd->dev);
	free(vd);
	error_set(err, ERROR_IO, -ret, "%s", vhost_user_name(options->conn));
	return NULL;
}

void vhost_user_device_destroy(struct virtio_device *dev)
{
	if (!dev)
		return;
	vhost_user_detach(vhost_user_device_of(dev)->conn);
	virtio_device_destroy(dev);
	free(vhost_user_device_of(dev));
}
