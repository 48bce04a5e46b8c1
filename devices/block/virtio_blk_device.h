/* What the files of virtio-blk share, and nobody else includes: the device's
 * state, and the steps of a request's life. Under the device's mutex.
 */
#pragma once

#include <linux/virtio_blk.h>

#include "base/container_of.h"
#include "devices/block/virtio_blk.h"
#include "devices/block/virtio_blk_request.h"

#define SECTOR 512

#define NO_QUEUE VIRTIO_BLK_QUEUES_MAX /* in place of a queue's number */

/* Another disk that is about to take the place of the present one. */
struct blk_swap {
	bool pending; /* no request is taken from the rings */
	bool flushed; /* or at it; the old one is done with */
	struct disk disk;
	struct block_request flush;
	virtio_blk_swapped_fn *swapped;
	void *ctx;
};

struct virtio_blk {
	struct virtio_device dev;
	struct virtio_blk_config config;
	struct disk disk;
	char serial[VIRTIO_BLK_SERIAL_MAX];
	struct blk_slots slots;
	bool unsafe; /* nothing is ever flushed */
	unsigned queues;
	uint16_t queue_inflight[VIRTIO_BLK_QUEUES_MAX]; /* with the engine */
	unsigned stopping; /* this queue, which wants no more of its data */
	/* Queues, as bits: with used buffers that the driver was not told of,
	 * and with requests that cannot be taken now. */
	uint32_t pushed;
	uint32_t waiting;
	unsigned served;  /* the last one that a request was taken from */
	size_t now_bytes; /* of this request, from the page cache */
	struct rate_limiter limiter;
	struct blk_swap swap;
	struct event_source completions;
	struct block_engine *engine;
	bool no_read_now; /* the file cannot do RWF_NOWAIT */
	bool no_write_now;
	bool no_punch; /* nor fallocate() with these */
	bool no_zero;
};

static inline struct virtio_blk *blk_from_dev(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_blk, dev);
}

/* --- virtio_blk_config.c --- */

/* What is offered to drivers, by what the disk is. */
uint64_t blk_features(const struct virtio_blk *blk);
void blk_config_fill(struct virtio_blk *blk);
void blk_config_set_capacity(struct virtio_blk *blk);

/* --- virtio_blk_io.c --- */

/* What counts is each command, as one operation, and what it moves from or to
 * the disk. */
static inline void blk_charge(struct virtio_blk *blk, uint64_t bytes,
			      unsigned ops)
{
	if (blk->limiter.enabled)
		rate_limiter_take(&blk->limiter, bytes, ops);
}

/* Tells the driver the outcome and gives its chain back. */
void blk_finish(struct virtio_blk *blk, struct blk_request *req,
		uint8_t status);

/* Carry out requests: at once where that can be done without waiting, else
 * from the next blk_submit() on. */
void blk_transfer(struct virtio_blk *blk, struct blk_request *req,
		  enum block_op op, uint64_t sector);
void blk_flush(struct virtio_blk *blk, struct blk_request *req);

/* Gives req->io to the engine. */
void blk_start_io(struct virtio_blk *blk, struct blk_request *req);

/* A request's only or last operation has come to its end, by its io.result. */
void blk_finish_io(struct virtio_blk *blk, struct blk_request *req);

/* A request has changed what is on the disk, and has that made stable where
 * the driver cannot do so. */
void blk_finish_change(struct virtio_blk *blk, struct blk_request *req);

/* Goes on with what the engine has finished. */
void blk_reap(struct virtio_blk *blk);

/* Waits until nothing at all is under way. */
void blk_drain_all(struct virtio_blk *blk);

/* Waits until nothing of a queue is under way, and cuts short what is. Other
 * queues' requests go on. */
void blk_drain(struct virtio_blk *blk, unsigned queue);

/* --- virtio_blk_zero.c --- */

/* Limits of discard and write zeroes: bytes of one range. A queue that stops
 * waits for one such range of each request. */
#define BLK_RANGE_MAX (128u << 20)

/* Carries out a discard or write zeroes command. */
void blk_zero(struct virtio_blk *blk, struct blk_request *req, bool discard);

/* One of its operations has come to its end. */
void blk_zero_done(struct virtio_blk *blk, struct blk_request *req);

/* --- virtio_blk_swap.c --- */

/* Takes the next step of an exchange, if there is one and nothing is under way.
 * Not in a vCPU's thread. */
void blk_swap_go_on(struct virtio_blk *blk);
void blk_swap_flush_done(struct virtio_blk *blk);

/* Ends an exchange at once. Nothing is under way. */
void blk_swap_destroy(struct virtio_blk *blk);
