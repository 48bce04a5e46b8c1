/* Memory balloon (virtio 1.2, section 5.5): memory that the guest does not use
 * goes back to the host.
 *
 * The guest reports memory that it has freed (free page reporting), and fills
 * the balloon with pages of its own up to a target that may change at any
 * time. The device discards both. A discarded page reads as zeros, or as it
 * was. It is back as soon as the guest touches it, so that the driver may take
 * pages out of the balloon without a word.
 *
 * Pages are served in the event loop, in bounded turns: giving back much
 * memory takes long.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "devices/balloon_stats.h"
#include "devices/virtio/virtio_device.h"

#define VIRTIO_BALLOON_QUEUE_SIZE 128 /* Linux reports 32 blocks at a time */

struct virtio_balloon_options {
	uint64_t target;      /* bytes in the balloon, see
				 virtio_balloon_set_target() */
	unsigned stats_every; /* seconds; 0: no statistics */
	bool reporting;	      /* free page reporting */

	/* Gives [host, host + len) of guest memory back to the host, as far as
	 * that goes in whole pages of the host's. The guest names the ranges:
	 * any that are guest memory, again and again. Called under the
	 * device's mutex. 0 or -errno. */
	int (*discard)(void *ctx, uint8_t *host, uint64_t len);
	void *ctx;
};

/* What the device and its driver have told each other. */
struct virtio_balloon_status {
	uint64_t target;	    /* bytes, as set */
	uint64_t actual;	    /* bytes, as the driver says */
	struct balloon_stats stats; /* the last that came */
};

/* mem, loop and ctx outlive the device. NULL with err set without memory, or
 * with a target that virtio_balloon_set_target() refuses. */
struct virtio_device *
virtio_balloon_create(const struct virtio_balloon_options *options,
		      const struct guest_mem *mem, struct event_loop *loop,
		      struct error *err);

/* Asks the guest to keep so many bytes in the balloon, rounded down to 4 KiB:
 * it gives when and as far as it can, and takes some back when it runs out of
 * memory. -EINVAL for more than guest memory has. Any thread that does not hold
 * the device's mutex. */
int virtio_balloon_set_target(struct virtio_device *dev, uint64_t bytes);

/* Any thread that does not hold the device's mutex. */
void virtio_balloon_get_status(struct virtio_device *dev,
			       struct virtio_balloon_status *status);
