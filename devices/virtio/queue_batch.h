/* Kicks of one virtqueue that are served where they arrive, in the vCPU's
 * thread, and how many buffers the driver is to collect before it kicks.
 *
 * A buffer that is served at once is back before the driver can give the next
 * one. So a driver that keeps many under way exits, and is interrupted, for
 * each of them, as if it had one. With EVENT_IDX (virtio 1.2, 2.7.10) the
 * device says which buffer it wants to hear of: now and then, of one further
 * on. If that one comes without a wait, the driver does not depend on those
 * before it, and batches become longer; a timer ends the wait for those that
 * do not come, and batches become as short as what there was.
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
	unsigned interval; /* so many until a longer one is tried */
	bool longer;	   /* one is tried */
};

/* Leaves what queue_batch_close() takes. */
void queue_batch_init(struct queue_batch *batch, struct virtio_device *dev,
		      unsigned queue);

/* 0 or -errno, with nothing left open. */
int queue_batch_open(struct queue_batch *batch);
void queue_batch_close(struct queue_batch *batch);

/* A kick that arrived in a vCPU's thread. The batch is open. */
void queue_batch_kick(struct queue_batch *batch);

/* The queue is about to be reset: the timer does not ring any more. */
void queue_batch_stop(struct queue_batch *batch);
