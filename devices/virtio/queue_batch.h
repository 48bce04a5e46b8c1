/* Kicks of one virtqueue that are served where they arrive, in the vCPU's
 * thread, and how many buffers the driver shall collect before it kicks.
 *
 * A buffer that is served at once is back before the driver can give the next
 * one. A driver that keeps many buffers under way would therefore exit, and be
 * interrupted, for each of them. With EVENT_IDX (virtio 1.2, 2.7.10) the device
 * names the buffer for which it wants a kick. Now and then it names one further
 * on. If that buffer comes without a wait, the driver does not depend on those
 * before it, and batches become longer. Otherwise a timer ends the wait, and
 * batches become as short as the number of buffers that came.
 *
 * A device embeds one per queue. All functions run under the device's lock.
 */
#pragma once

#include <stdbool.h>

#include "base/timer.h"

struct virtio_device;

struct queue_batch {
	struct timer timer;
	struct virtio_device *dev;
	unsigned queue;
	unsigned kicks;	   /* since the length of batches changed */
	unsigned interval; /* kicks until a longer batch is tried */
	bool longer;	   /* a longer batch is being tried */
};

/* Leaves what queue_batch_close() takes. */
void queue_batch_init(struct queue_batch *batch, struct virtio_device *dev,
		      unsigned queue);

/* 0 or -errno, with nothing left open. */
int queue_batch_open(struct queue_batch *batch);
void queue_batch_close(struct queue_batch *batch);

/* A kick that arrived in a vCPU's thread. The batch is open. */
void queue_batch_kick(struct queue_batch *batch);

/* Stops the timer. The queue is about to be reset. */
void queue_batch_stop(struct queue_batch *batch);
