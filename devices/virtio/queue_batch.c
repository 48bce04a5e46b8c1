#include "devices/virtio/queue_batch.h"

#include "base/container_of.h"
#include "devices/virtio/virtio_device.h"

#define BATCH_MAX 32

/* How many kicks come before a longer batch is tried. The number grows each
 * time that the attempt fails, because a failure costs the driver a wait. */
#define INTERVAL_MIN 64
#define INTERVAL_MAX 256

/* The longest wait for a batch: this for the driver to begin, and this for each
 * buffer. */
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

static void serve(struct queue_batch *batch)
{
	unsigned length;

	virtio_device_notify(batch->dev, batch->queue);
	length = queue_of(batch)->batch;
	/* A driver that is broken, or whose device is held, is not waited for.
	 * Any other one must not be left waiting for ever. */
	if (!virtio_device_up(batch->dev))
		set_length(batch, 1);
	else if (length > 1)
		timer_set_ns(&batch->timer, WAIT_FIRST_NS + WAIT_NS * length);
}

static void wait_is_over(struct timer *timer)
{
	struct queue_batch *batch =
		container_of(timer, struct queue_batch, timer);
	struct virtqueue *vq = queue_of(batch);
	unsigned waiting = virtqueue_waiting(vq);

	if (!waiting) {
		/* idle: the next buffer is served at once, and may begin a
		 * burst */
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
		.timer = TIMER_CLOSED,
		.dev = dev,
		.queue = queue,
		.interval = INTERVAL_MIN,
	};
}

int queue_batch_open(struct queue_batch *batch)
{
	return timer_open(&batch->timer, batch->dev->loop, &batch->dev->lock,
			  wait_is_over);
}

void queue_batch_close(struct queue_batch *batch)
{
	timer_close(&batch->timer);
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
	if (may_grow(vq) && ++batch->kicks >= batch->interval) {
		set_length(batch, 2 * vq->batch);
		batch->longer = true;
	}
	serve(batch);
}

void queue_batch_stop(struct queue_batch *batch)
{
	if (batch->timer.source.fd < 0)
		return;
	timer_stop(&batch->timer);
	batch->kicks = 0;
	batch->interval = INTERVAL_MIN;
	batch->longer = false;
}
