/* Block device (virtio 1.2, section 5.2) on one open disk.
 *
 * Kicks are served in the vCPU thread: what the host's page cache can answer
 * is answered at once, without waking anyone; the rest goes to a block
 * engine, which is made when it is first needed, and finishes in the event
 * loop. Nothing blocks a vCPU but a reset, or the stop of the queue, which
 * wait for what is under way.
 *
 * The disk may change its size, or be exchanged for another, at any time.
 */
#pragma once

#include "base/error.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "base/rate_limiter.h"
#include "devices/block/block_engine.h"
#include "devices/block/disk_file.h"
#include "devices/virtio/virtio_device.h"

/* A request takes one entry, as drivers use indirect descriptors, so this is a
 * queue's depth, and all that is ever under way (BLK_SLOTS_MAX). Twice as many
 * would only wait in the ring rather than in the guest, at the price of half a
 * kilobyte of its memory each, which Linux touches at boot. */
#define VIRTIO_BLK_QUEUE_SIZE 128
#define VIRTIO_BLK_QUEUES_MAX 16
#define VIRTIO_BLK_SERIAL_MAX 20 /* bytes, 5.2.6: not terminated when full */

struct virtio_blk_options {
	const struct disk *disk;   /* copied; the descriptor stays the caller's
				    * and outlives the device */
	unsigned queues;	   /* 1 to VIRTIO_BLK_QUEUES_MAX */
	bool unsafe;		   /* flushes are answered, not done */
	struct rate_limits limits; /* of all queues together: 0, none */
	const char *serial;	   /* what GET_ID says, cut at 20; NULL: "" */

	/* NULL for block_engine_create() */
	block_engine_create_fn *engine_create;
};

/* mem and loop outlive the device. NULL with err set when memory or
 * descriptors run out. */
struct virtio_device *
virtio_blk_create(const struct virtio_blk_options *options,
		  const struct guest_mem *mem, struct event_loop *loop,
		  struct error *err);

/* The disk has become larger or smaller, in bytes; what is no whole block stays
 * unused. The driver is told. Under the device's mutex. */
void virtio_blk_resize(struct virtio_device *dev, uint64_t size);

/* The device has let go of the old disk: its descriptor may be closed. Under
 * the device's mutex, from its event loop, virtio_blk_swap() or
 * virtio_blk_destroy(). */
typedef void virtio_blk_swapped_fn(void *ctx);

/* Puts another disk (copied; its descriptor outlives the device) into the place
 * of the present one, as soon as what is under way has come back; the driver's
 * requests wait for that in their rings. -1, with err saying why and nothing
 * changed, when the driver could not go on with it or another one is about to
 * come. Under the device's mutex; blocks on no I/O. */
int virtio_blk_swap(struct virtio_device *dev, const struct disk *disk,
		    virtio_blk_swapped_fn *swapped, void *ctx,
		    struct error *err);

/* The transport is gone, which has reset the device. NULL is fine. */
void virtio_blk_destroy(struct virtio_device *dev);
