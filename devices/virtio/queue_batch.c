#include "devices/virtio/queue_batch.h"

#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/log.h"

#define BATCH_MAX 32

/* Kicks until a longer batch is tried; more each time that it fails, as that
 * costs the driver a wait. */
#define INTERVAL_MIN 64
#define INTERVAL_MAX 256

/* The longest wait: for a driver to begin, and for each buffer of a batch. */
#define WAIT_FIRST_NS 40000
#define WAIT_NS 20000

static struct virtqueue *queue_of(const struct queue_batch *batch)
{
	return &batch->dev->queues[batch->queue];
}

static void set_length(struct queue_batch *batch, unsigned length)
{
	queue_of(batch)->batch = (uint16_t)length;
	batch->kicks = 0;
	batch->longer = false;
}

static bool timer_set(struct queue_batch *batch)
{
	struct itimerspec when = {
		.it_value.tv_nsec =
			WAIT_FIRST_NS + WAIT_NS * queue_of(batch)->batch,
	};

	return timerfd_settime(batch->timer.fd, 0, &when, NULL) == 0;
}

static bool timer_open(struct queue_batch *batch)
{
	if (batch->timer.fd >= 0)
		return true;
	batch->timer.fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (batch->timer.fd >= 0 &&
	    event_loop_add(batch->dev->loop, &batch->timer, EPOLLIN) == 0)
		return true;
	queue_batch_close(batch);
	return false;
}

static void serve(struct queue_batch *batch)
{
	virtio_device_notify(batch->dev, batch->queue);
	if (queue_of(batch)->batch == 1)
		return;
	/* The driver must not be left waiting for ever, nor a broken one be
	 * waited for. */
	if (!virtio_device_up(batch->dev) || !timer_set(batch)) {
		set_length(batch, 1);
		virtio_device_notify(batch->dev, batch->queue);
	}
}

static void timer_ready(struct event_source *source, uint32_t events)
{
	struct queue_batch *batch =
		container_of(source, struct queue_batch, timer);
	struct virtqueue *vq = queue_of(batch);
	unsigned waiting = virtqueue_waiting(vq);
	uint64_t count;

	(void)events;
	if (read(source->fd, &count, sizeof(count)) != sizeof(count))
		return; /* a kick came first */
	if (!waiting) {
		/* idle: the next one is not to wait, but may begin a burst */
		set_length(batch, 1);
	} else if (waiting < vq->batch) {
		if (batch->longer && batch->interval < INTERVAL_MAX)
			batch->interval *= 2;
		set_length(batch, waiting);
	}
	serve(batch);
}

void queue_batch_init(struct queue_batch *batch, struct virtio_device *dev,
		      unsigned queue)
{
	*batch = (struct queue_batch){
		.timer = { .fd = -1, .ready = timer_ready, .lock = &dev->lock },
		.dev = dev,
		.queue = queue,
		.interval = INTERVAL_MIN,
	};
}

static bool may_grow(const struct virtqueue *vq)
{
	unsigned longer = 2 * vq->batch;

	return vq->event_idx && longer <= BATCH_MAX && longer <= vq->state.size;
}

void queue_batch_kick(struct queue_batch *batch)
{
	struct virtqueue *vq = queue_of(batch);

	if (batch->longer && batch->interval > INTERVAL_MIN)
		batch->interval /= 2;
	batch->longer = false;
	if (may_grow(vq) && ++batch->kicks >= batch->interval &&
	    timer_open(batch)) {
		set_length(batch, 2 * vq->batch);
		batch->longer = true;
	}
	serve(batch);
}

void queue_batch_close(struct queue_batch *batch)
{
	if (batch->timer.fd < 0)
		return;
	event_loop_remove(batch->dev->loop, &batch->timer);
	close(batch->timer.fd);
	queue_batch_init(batch, batch->dev, batch->queue);
}
