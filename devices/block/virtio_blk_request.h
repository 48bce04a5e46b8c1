/* Requests of virtio-blk (virtio 1.2, section 5.2.6): the slots they live in,
 * and taking a chain apart into header, data and status.
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

/* Of a discard or write zeroes command, in sectors of 512 bytes; not checked
 * against anything. */
struct blk_range {
	uint64_t sector;
	uint32_t sectors;
	uint32_t flags;
};

struct blk_request {
	struct block_request io;
	unsigned queue;
	struct chain chain;    /* iov trimmed to the data */
	uint8_t *status;       /* last byte the device may write */
	uint32_t data_written; /* into the guest's memory, on success */

	/* of commands with ranges only */
	bool discard;
	uint8_t range; /* the one under way */
	uint8_t range_count;
	struct blk_range ranges[BLK_RANGES_MAX];
};

/* Never walked as a whole, so that memory stays untouched until that many
 * requests were under way at once. */
struct blk_slots {
	struct blk_request *slots;
	unsigned fresh; /* slots never used yet start here */
	unsigned free_count;
	uint16_t free[BLK_SLOTS_MAX];
};

/* 0 or -ENOMEM. */
int blk_slots_init(struct blk_slots *pool);
void blk_slots_destroy(struct blk_slots *pool); /* a zeroed one is fine */

/* NULL when all are taken. */
struct blk_request *blk_slots_get(struct blk_slots *pool);
void blk_slots_put(struct blk_slots *pool, struct blk_request *req);

/* Cuts the status byte off the end of the writable iovecs; false when there
 * is none. */
bool blk_request_take_status(struct blk_request *req);

/* Copies the header out of the front of the readable iovecs and cuts it off;
 * false when it does not fit. The framing is the driver's choice (2.7.4.1).
 */
bool blk_request_take_header(struct blk_request *req,
			     struct blk_header *header);

/* Copies the ranges out of the data; false when they are none, too many or not
 * whole. After both of the above. */
bool blk_request_take_ranges(struct blk_request *req);

/* Points io at the data: after the first two of the above. */
void blk_request_set_data(struct blk_request *req, bool guest_reads);
