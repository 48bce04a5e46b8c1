/* Requests of virtio-blk (virtio 1.2, section 5.2.6): the slots that hold them,
 * and the division of a chain into header, data and status.
 *
 * Under the device's mutex.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/le_types.h"
#include "devices/block/block_engine.h"
#include "devices/virtio/virtqueue.h"

/* Most ranges of one discard or write zeroes command. */
#define BLK_RANGES_MAX 16

/* Most requests under way at once, of all queues; the others wait in their
 * rings. */
#define BLK_SLOTS_MAX 128

/* 5.2.6: the driver's header */
struct blk_header {
	le32_t type;
	le32_t reserved;
	le64_t sector;
};

/* A range of a discard or write zeroes command, in sectors of 512 bytes, as the
 * driver gave it: unchecked. */
struct blk_range {
	uint64_t sector;
	uint32_t sectors;
	uint32_t flags;
};

struct blk_request {
	struct block_request io;
	unsigned queue;
	struct chain chain;    /* iov trimmed to the data */
	uint8_t *status;       /* the last byte that the device may write */
	uint32_t data_written; /* bytes to guest memory, if successful */

	/* for commands with ranges only */
	bool discard;
	uint8_t range; /* index of the one under way */
	uint8_t range_count;
	struct blk_range ranges[BLK_RANGES_MAX];
};

/* A pool of requests. It is never walked as a whole: the memory of a slot stays
 * untouched until so many requests are under way at once. */
struct blk_slots {
	struct blk_request *slots;
	unsigned fresh; /* index of the first slot that was never used */
	unsigned free_count;
	uint16_t free[BLK_SLOTS_MAX];
};

/* 0 or -ENOMEM. */
int blk_slots_init(struct blk_slots *pool);
void blk_slots_destroy(struct blk_slots *pool); /* a zeroed one is fine */

/* NULL when all are taken. */
struct blk_request *blk_slots_get(struct blk_slots *pool);
void blk_slots_put(struct blk_slots *pool, struct blk_request *req);

/* Cuts the status byte off the end of the writable iovecs. False when the chain
 * has no writable byte. */
bool blk_request_take_status(struct blk_request *req);

/* Copies the header from the front of the readable iovecs and cuts it off.
 * False when they are too short. The header may lie across any number of
 * descriptors (2.7.4.1). */
bool blk_request_take_header(struct blk_request *req,
			     struct blk_header *header);

/* Copies the ranges from the data. False when there are none, too many, or a
 * part of one. Called after both of the above. */
bool blk_request_take_ranges(struct blk_request *req);

/* Points io at the data that the guest reads or writes. Called after the first
 * two of the above. */
void blk_request_set_data(struct blk_request *req, bool guest_reads);
