/* Private to the files of the balloon: the device, and how it serves chains
 * that name pages. Under the device's lock.
 */
#pragma once

#include <assert.h>
#include <linux/virtio_balloon.h>

#include "base/container_of.h"
#include "base/iov.h"
#include "base/timer.h"
#include "devices/virtio_balloon.h"

#define BALLOON_INFLATE 0 /* queues, 5.5.2 */
#define BALLOON_DEFLATE 1
#define BALLOON_STATS_QUEUE 2
#define BALLOON_REPORTING 4
#define BALLOON_QUEUES 5

#define PAGE_SHIFT \
	VIRTIO_BALLOON_PFN_SHIFT /* whatever size the guest's pages have */
#define PAGE_SIZE (1ULL << PAGE_SHIFT)

/* The cost of a turn, in pages that are given back: some milliseconds if all of
 * them are present. Finding the pages and reading the lists costs as well. */
#define BALLOON_TURN 4096
#define BALLOON_CHAIN_COST 16

/* A chain that is served in pieces. */
struct balloon_request {
	bool busy;
	size_t left; /* bytes of the chain that are not served yet */
	struct iov_cursor cursor;
	struct chain chain;
};

/* State saved in a snapshot. Chains in hand are not part of it: they go back to
 * their rings, as it does no harm to serve them anew. */
struct virtio_balloon_state {
	struct virtio_balloon_config config;
	uint32_t reporting_queue; /* its number; BALLOON_QUEUES: none */
	uint32_t pad;
	struct balloon_stats stats;
};
static_assert(sizeof(struct virtio_balloon_state) == 160, "saved in snapshots");

struct balloon {
	struct virtio_device dev;
	struct virtio_balloon_state state;
	int (*discard)(void *ctx, uint8_t *host, uint64_t len);
	void *ctx;

	struct balloon_request inflate;
	struct balloon_request report;

	/* The driver's one buffer of statistics is kept until the next are due
	 * (5.5.6.3). */
	unsigned stats_every;
	struct timer stats_timer; /* open where there are statistics */
	bool stats_held;
	bool stats_asked;
	uint16_t stats_head;
};

static inline struct balloon *balloon_from_dev(struct virtio_device *dev)
{
	return container_of(dev, struct balloon, dev);
}

/* --- virtio_balloon_pages.c --- */

/* Pop and serve a chain, or a piece of one, for virtio_device_serve(). */
int balloon_inflate_next(struct virtio_device *dev, struct virtqueue *vq);
int balloon_deflate_next(struct virtio_device *dev, struct virtqueue *vq);
int balloon_report_next(struct virtio_device *dev, struct virtqueue *vq);

/* Gives the whole chain back to its ring, if the request has one. */
void balloon_request_give_back(struct balloon_request *request,
			       struct virtqueue *vq);
