/* Discard and write zeroes (5.2.6.1, 5.2.6.2): the ranges of a request are
 * carried out one after the other, each in the best way that the file knows.
 */
#include <errno.h>

#include "base/log.h"
#include "devices/block/virtio_blk_device.h"

static uint8_t check_range(const struct virtio_blk *blk,
			   const struct blk_request *req,
			   const struct blk_range *range)
{
	uint64_t capacity = blk->disk.size / SECTOR;
	uint32_t align = blk->disk.block_size / SECTOR;
	uint32_t known = req->discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;

	if (range->flags & ~known)
		return VIRTIO_BLK_S_UNSUPP;
	if (range->sectors > BLK_RANGE_MAX / SECTOR ||
	    range->sector > capacity ||
	    range->sectors > capacity - range->sector ||
	    range->sector % align || range->sectors % align)
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

/* All ranges are checked before the first has any effect. */
static uint8_t check_ranges(const struct virtio_blk *blk,
			    const struct blk_request *req)
{
	for (unsigned i = 0; i < req->range_count; i++) {
		uint8_t status = check_range(blk, req, &req->ranges[i]);

		if (status != VIRTIO_BLK_S_OK)
			return status;
	}
	return VIRTIO_BLK_S_OK;
}

static enum block_op best_way(const struct blk_request *req,
			      const struct blk_range *range)
{
	bool unmap = range->flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;

	return req->discard || unmap ? BLOCK_PUNCH : BLOCK_ZERO;
}

/* What to try where the file cannot do *op. False when nothing is left: a
 * discard is a hint, for which nothing is written. */
static bool next_way(const struct blk_request *req, enum block_op *op)
{
	if (req->discard || *op == BLOCK_WRITE_ZEROES)
		return false;
	*op = *op == BLOCK_PUNCH ? BLOCK_ZERO : BLOCK_WRITE_ZEROES;
	return true;
}

/* Starts the present range, by op or the first way after it that the file is
 * not known to lack. False when there is nothing to do. */
static bool start_range(struct virtio_blk *blk, struct blk_request *req,
			enum block_op op)
{
	const struct blk_range *range = &req->ranges[req->range];

	if (!range->sectors)
		return false;
	while (blk->cannot >> op & 1)
		if (!next_way(req, &op))
			return false;
	req->io = (struct block_request){
		.op = op,
		.offset = range->sector * SECTOR,
		.left = (size_t)range->sectors * SECTOR,
	};
	if (op == BLOCK_WRITE_ZEROES)
		blk_charge(blk, req->io.left, 0);
	blk_start_io(blk, req);
	return true;
}

static void start_ranges(struct virtio_blk *blk, struct blk_request *req)
{
	for (; req->range < req->range_count; req->range++)
		if (start_range(blk, req,
				best_way(req, &req->ranges[req->range])))
			return;
	blk_finish_change(blk, req);
}

/* Whether the outcome means that another way has to be taken: from now on, or,
 * where only this range did not fit, this once. */
static bool is_unsupported(struct virtio_blk *blk,
			   const struct block_request *io)
{
	if (io->op == BLOCK_WRITE_ZEROES)
		return false;
	if (io->result == -EOPNOTSUPP && !(blk->cannot >> io->op & 1)) {
		log_info("disk: no fallocate() to %s here",
			 io->op == BLOCK_PUNCH ? "free space" : "zero a range");
		blk->cannot |= 1u << io->op;
	}
	return io->result == -EOPNOTSUPP || io->result == -EINVAL;
}

void blk_zero_done(struct virtio_blk *blk, struct blk_request *req)
{
	struct block_request *io = &req->io;
	enum block_op op = io->op;

	/* whoever pauses the device or stops the queue does not wait for all
	 * ranges */
	if (!io->result && blk->pausing && req->range + 1 < req->range_count) {
		blk_park(blk, req);
		return;
	}
	if (!io->result && req->queue == blk->stopping)
		io->result = -ECANCELED;
	if (io->result && !is_unsupported(blk, io)) {
		blk_finish_io(blk, req);
		return;
	}
	if (io->result && next_way(req, &op) && start_range(blk, req, op))
		return;
	req->range++;
	start_ranges(blk, req);
}

void blk_zero(struct virtio_blk *blk, struct blk_request *req, bool discard)
{
	unsigned feature = discard ? VIRTIO_BLK_F_DISCARD
				   : VIRTIO_BLK_F_WRITE_ZEROES;
	uint8_t status = VIRTIO_BLK_S_IOERR;

	req->discard = discard;
	if (!virtio_has_feature(&blk->dev, feature))
		status = VIRTIO_BLK_S_UNSUPP;
	else if (blk_request_take_ranges(req))
		status = check_ranges(blk, req);
	if (status == VIRTIO_BLK_S_OK)
		start_ranges(blk, req);
	else
		blk_finish(blk, req, status);
}
