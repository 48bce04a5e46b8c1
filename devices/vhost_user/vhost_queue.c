#include "devices/vhost_user/vhost_queue.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/wake.h"

#define TURN_REQUESTS 64 /* that fail, before other devices have a turn */

/* A server that has stopped a ring may take this part of the time that it has
 * for an answer, to end what it took from the ring before. */
#define DRAIN_PART 5
#define DRAIN_STEP_MS 1 /* how often to look */

static unsigned index_of(const struct vhost_queue *q)
{
	return (unsigned)(q - q->vd->queues);
}

static struct virtqueue *virtqueue_of(const struct vhost_queue *q)
{
	return &q->vd->dev.queues[index_of(q)];
}

/* The server has the eventfd as well. It may have made the eventfd one that
 * blocks, so a write that would block is left out. */
void vhost_queue_wake(struct vhost_queue *q)
{
	struct pollfd out = { .fd = q->kick.fd, .events = POLLOUT };

	if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT))
		wake(q->kick.fd);
}

/* --- queues of ours --- */

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

static void serve_ours(struct vhost_queue *q)
{
	bool waits = q->vd->ops->waiting >> index_of(q) & 1;

	if (!waits)
		virtio_device_serve(&q->vd->dev, index_of(q), TURN_REQUESTS,
				    fail_next);
}

/* --- eventfds --- */

/* Edge-triggered and never read: whoever shares the descriptor can make reading
 * wait. */
static void kick_ready(struct event_source *source, uint32_t events)
{
	struct vhost_queue *q = container_of(source, struct vhost_queue, kick);

	(void)events;
	if (virtio_device_up(&q->vd->dev) && !q->theirs)
		serve_ours(q);
}

static void call_ready(struct event_source *source, uint32_t events)
{
	struct vhost_queue *q = container_of(source, struct vhost_queue, call);

	(void)events;
	if (!q->vd->ops->in_order && q->theirs)
		ring_watch_update(&q->watch, virtqueue_of(q));
	virtio_device_interrupt_always(&q->vd->dev, index_of(q));
}

void vhost_queue_init(struct vhost_queue *q, struct vhost_user_device *vd)
{
	*q = (struct vhost_queue){
		.vd = vd,
		.kick = { .fd = -1, .ready = kick_ready, .lock = &vd->dev.lock },
		.call = { .fd = -1, .ready = call_ready, .lock = &vd->dev.lock },
	};
}

int vhost_queue_watch_calls(struct vhost_queue *q)
{
	return event_loop_add(q->vd->dev.loop, &q->call, EPOLLIN | EPOLLET);
}

void vhost_queue_unwatch_calls(struct vhost_queue *q)
{
	event_loop_remove(q->vd->dev.loop, &q->call);
}

static int watch(struct vhost_queue *q)
{
	int ret = event_loop_add(q->vd->dev.loop, &q->kick, EPOLLIN | EPOLLET);

	return ret ? ret : vhost_queue_watch_calls(q);
}

static void unwatch(struct vhost_queue *q)
{
	event_loop_remove(q->vd->dev.loop, &q->kick);
	vhost_queue_unwatch_calls(q);
}

static void close_eventfds(struct vhost_queue *q)
{
	cleanup_close(&q->kick.fd);
	cleanup_close(&q->call.fd);
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

int vhost_queue_open(struct vhost_queue *q)
{
	int ret = q->kick.fd < 0 ? open_eventfds(q) : 0;

	return ret ? ret : watch(q);
}

void vhost_queue_close(struct vhost_queue *q)
{
	unwatch(q);
	close_eventfds(q);
}

int vhost_queue_renew(struct vhost_queue *q)
{
	int kick = q->kick.fd, call = q->call.fd;

	unwatch(q);
	if (open_eventfds(q) == 0) {
		virtio_device_kick_fd_changed(&q->vd->dev, index_of(q));
		close(kick);
		close(call);
	} else {
		q->kick.fd = kick;
		q->call.fd = call;
	}
	return watch(q);
}

/* --- to the server and back --- */

/* Requests may be there already, for which no kick will come. */
int vhost_queue_hand_over(struct vhost_queue *q)
{
	const struct virtqueue_state *s = &virtqueue_of(q)->state;

	event_loop_remove(q->vd->dev.loop, &q->kick);
	ring_watch_reset(&q->watch, s->next_avail, s->next_used);
	q->theirs = true;
	vhost_queue_wake(q);
	return vhost_user_start_queue(q->vd->conn, index_of(q), s, q->kick.fd,
				      q->call.fd);
}

/* Waits for a limited time until the server has ended all requests that it
 * took. If it ended one later, it would write to memory that the driver uses
 * for something else by then. */
static bool drain(struct vhost_queue *q, uint16_t base, bool wait)
{
	const unsigned most =
		wait ? vhost_user_timeout(q->vd->conn) / DRAIN_PART : 0;
	const struct timespec step = { .tv_nsec = DRAIN_STEP_MS * 1000000L };

	for (unsigned ms = 0; ms <= most; ms += DRAIN_STEP_MS) {
		if (virtqueue_used_idx(virtqueue_of(q)) == base)
			return true;
		if (ms < most)
			nanosleep(&step, NULL);
	}
	log_guest(LOG_WARN,
		  "a vhost-user back-end still has requests of a "
		  "ring that was stopped");
	return false;
}

int vhost_queue_stop(struct vhost_queue *q, bool wait)
{
	uint16_t base;

	q->theirs = false;
	if (vhost_user_stop_queue(q->vd->conn, index_of(q), &base))
		return -EIO;
	if (!drain(q, base, wait))
		return -ETIMEDOUT;
	virtqueue_seek(virtqueue_of(q), base, base);
	return 0;
}

static int fail_taken(struct vhost_queue *q)
{
	struct virtqueue *vq = virtqueue_of(q);
	struct chain chain;
	int head;

	ring_watch_update(&q->watch, vq);
	if (!ring_watch_is_exact(&q->watch))
		return -EPROTO;
	virtqueue_seek(vq, q->watch.avail, q->watch.used);
	while ((head = ring_watch_take(&q->watch)) >= 0) {
		if (virtqueue_fetch(vq, (uint16_t)head, &chain))
			return -EPROTO;
		fail_request(q->vd, vq, &chain);
	}
	return 0;
}

int vhost_queue_take_back(struct vhost_queue *q)
{
	struct virtqueue *vq = virtqueue_of(q);
	uint16_t used = virtqueue_used_idx(vq);
	int ret = 0;

	q->theirs = false;
	if (q->vd->ops->in_order)
		virtqueue_seek(vq, used, used);
	else
		ret = fail_taken(q);
	if (ret == 0)
		ret = vhost_queue_renew(q);
	/* the server may have ended requests without a call */
	virtio_device_interrupt_always(&q->vd->dev, index_of(q));
	if (ret == 0)
		serve_ours(q);
	return ret;
}
