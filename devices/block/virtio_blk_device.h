/* Private to the files of virtio-blk: the device, and the steps of a request's
 * life. Under the device's mutex.
 */
#pragma once

#include <assert.h>
#include <linux/virtio_blk.h>

#include "base/container_of.h"
#include "devices/block/virtio_blk.h"
#include "devices/block/virtio_blk_request.h"

#define SECTOR 512

#define NO_QUEUE VIRTIO_BLK_QUEUES_MAX /* stands for: none of the queues */

/* A request that a pause cut short. It begins anew when the device goes on. */
struct blk_parked {
	uint16_t queue;
	uint16_t head; /* of its chain */
};

/* State saved in a snapshot. The rest of configuration space follows from it
 * and from the disk. */
struct virtio_blk_state {
	uint32_t block_size; /* bytes, as the driver knows it */
	uint32_t parked_count;
	struct blk_parked parked[BLK_SLOTS_MAX];
};
static_assert(sizeof(struct virtio_blk_state) == 8 + 4 * 128,
	      "saved in snapshots");

/* Another disk that is about to take the place of the present one. */
struct blk_swap {
	bool pending; /* the device is held meanwhile */
	bool flushed; /* the flush of the old disk was started, if it needs one */
	struct disk disk;
	struct block_request flush;
	virtio_blk_swapped_fn *swapped;
	void *ctx;
};

struct virtio_blk {
	struct virtio_device dev;
	struct virtio_blk_config config;
	struct virtio_blk_state state;
	struct disk disk;
	char serial[VIRTIO_BLK_SERIAL_MAX];
	struct blk_slots slots;
	bool unsafe; /* nothing is ever flushed */
	uint16_t queue_inflight[VIRTIO_BLK_QUEUES_MAX]; /* with the engine */
	unsigned stopping; /* the queue whose requests are being cut short */
	bool pausing;	   /* those of all queues are, and parked */
	/* Bits of queues: those with used buffers that the driver was not told
	 * of, and those with requests that cannot be taken now. */
	uint32_t pushed;
	uint32_t waiting;
	unsigned served;  /* the queue that the last request came from */
	size_t now_bytes; /* of the present request, from the page cache */
	struct rate_limiter limiter;
	struct blk_swap swap;
	struct event_source completions;
	struct block_engine *engine;
	/* Bits of operations that the file cannot do: reads and writes without
	 * waiting (RWF_NOWAIT), and those that are one fallocate(). */
	uint32_t cannot;
};

static inline struct virtio_blk *blk_from_dev(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_blk, dev);
}

/* --- virtio_blk_config.c --- */

/* The features that are offered to drivers. */
uint64_t blk_features(const struct virtio_blk_options *options);
void blk_config_fill(struct virtio_blk *blk);

/* The driver's blocks stay what they are, whatever the disk's own: the disk is
 * one of such blocks from now on. */
void blk_config_set_block_size(struct virtio_blk *blk, uint32_t block_size);
bool blk_config_can_have(const struct virtio_blk *blk, uint32_t block_size);

void blk_config_set_capacity(struct virtio_blk *blk);

/* --- virtio_blk_io.c --- */

/* Takes from the limits: one operation for each command, and the bytes that it
 * moves from or to the disk. */
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
 * from the next submit on. */
void blk_transfer(struct virtio_blk *blk, struct blk_request *req,
		  enum block_op op, uint64_t sector);
void blk_flush(struct virtio_blk *blk, struct blk_request *req);

/* Gives req->io to the engine. */
void blk_start_io(struct virtio_blk *blk, struct blk_request *req);

/* Finishes a request whose only or last operation has ended with io.result. */
void blk_finish_io(struct virtio_blk *blk, struct blk_request *req);

/* Finishes a request that has changed the disk; but flushes the disk first if
 * the driver has no command for that. */
void blk_finish_change(struct virtio_blk *blk, struct blk_request *req);

/* Goes on with what the engine has finished. */
void blk_reap(struct virtio_blk *blk);

/* Takes a request out of the engine's hands until the device goes on. */
void blk_park(struct virtio_blk *blk, struct blk_request *req);

/* Cuts short and parks what is under way, and waits until nothing is. */
void blk_drain_all(struct virtio_blk *blk);

/* Cuts short what is under way of a queue, and waits until nothing is. Other
 * queues' requests go on. */
void blk_drain(struct virtio_blk *blk, unsigned queue);

/* --- virtio_blk_zero.c --- */

/* Most bytes of one range of a discard or write zeroes command. The stop of a
 * queue waits for one such range of each request. */
#define BLK_RANGE_MAX (128u << 20)

/* Carries out a discard or write zeroes command. */
void blk_zero(struct virtio_blk *blk, struct blk_request *req, bool discard);

/* Goes on with a discard or write zeroes command after one of its operations
 * has ended. */
void blk_zero_done(struct virtio_blk *blk, struct blk_request *req);

/* --- virtio_blk_swap.c --- */

/* Takes the next step of an exchange, if there is one and nothing is under way.
 * Not called in a vCPU's thread that runs, as it has no time for what the owner
 * does when the exchange ends. */
void blk_swap_go_on(struct virtio_blk *blk);
void blk_swap_flush_done(struct virtio_blk *blk);

/* Ends an exchange, if there is one, as the device goes away. The engine is
 * gone. */
void blk_swap_destroy(struct virtio_blk *blk);
