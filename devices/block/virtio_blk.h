/* Block device (virtio 1.2, section 5.2) on one open disk.
 *
 * A vCPU thread serves its own kicks: what the host's page cache can answer is
 * answered at once, without waking anyone. The rest goes to a block engine and
 * finishes in the event loop. A vCPU waits for the disk only if it resets the
 * device or stops a queue while requests are under way.
 *
 * The disk may change its size, or be exchanged for another, at any time.
 */
#pragma once

#include "base/rate_limiter.h"
#include "devices/block/block_engine.h"
#include "devices/block/disk_file.h"
#include "devices/virtio/virtio_device.h"

/* Descriptors of a queue. Drivers use indirect descriptors, so a request takes
 * one, and a queue holds as many requests as are ever under way at once
 * (BLK_SLOTS_MAX). A longer queue would only have requests wait in the ring
 * rather than in the guest. It would cost half a kilobyte of guest memory for
 * each, which Linux touches at boot. */
#define VIRTIO_BLK_QUEUE_SIZE 128
#define VIRTIO_BLK_QUEUES_MAX 16
#define VIRTIO_BLK_SERIAL_MAX 20 /* bytes, 5.2.6: not terminated when full */

struct virtio_blk_options {
	const struct disk *disk;   /* copied; the descriptor stays the caller's
				    * and outlives the device */
	unsigned queues;	   /* 1 to VIRTIO_BLK_QUEUES_MAX */
	bool unsafe;		   /* flushes are answered, not done */
	struct rate_limits limits; /* of all queues together; 0: no limit */
	const char *serial; /* the answer to GET_ID, cut after 20 bytes; NULL:
			     * an empty one */

	/* NULL for block_engine_create() */
	block_engine_create_fn *engine_create;
};

/* mem and loop outlive the device. NULL with err set when memory or descriptors
 * run out, or no engine can be had. */
struct virtio_device *
virtio_blk_create(const struct virtio_blk_options *options,
		  const struct guest_mem *mem, struct event_loop *loop,
		  struct error *err);

/* The disk now has size bytes. A rest that is no whole block stays unused. The
 * driver is told. Under the device's mutex. */
void virtio_blk_resize(struct virtio_device *dev, uint64_t size);

/* An exchange has ended. result 0: the device uses the new disk, and the
 * descriptor of the old one may be closed. result -errno: the device could not
 * take the new disk and goes on with the old one; the new one's descriptor may
 * be closed. Called under the device's mutex, from its event loop,
 * virtio_blk_swap(), virtio_device_quiesce() or virtio_device_destroy(). */
typedef void virtio_blk_swapped_fn(void *ctx, int result);

/* Puts another disk into the place of the present one, as soon as all requests
 * under way have come back; the driver's next requests wait in their rings. The
 * disk is copied; its descriptor stays the caller's and outlives the device's
 * use of it. 0: swapped() will be called once, perhaps before this returns. -1,
 * with err saying why and nothing changed, when the driver could not go on with
 * this disk or an exchange is under way. Under the device's mutex; waits for no
 * I/O. */
int virtio_blk_swap(struct virtio_device *dev, const struct disk *disk,
		    virtio_blk_swapped_fn *swapped, void *ctx,
		    struct error *err);
