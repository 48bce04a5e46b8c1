#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "devices/block/virtio_blk_device.h"

/* --- finishing --- */

/* The used length is that of the data and the status on success, else that of
 * the status alone (2.7.8). */
void blk_finish(struct virtio_blk *blk, struct blk_request *req, uint8_t status)
{
	uint32_t written = status == VIRTIO_BLK_S_OK ? req->data_written : 0;

	*req->status = status;
	free(req->io.bounce);
	virtqueue_push(&blk->dev.queues[req->queue], req->chain.head,
		       written + 1);
	blk->pushed |= 1u << req->queue;
	blk_slots_put(&blk->slots, req);
}

void blk_finish_io(struct virtio_blk *blk, struct blk_request *req)
{
	static const char *const names[] = {
		[BLOCK_READ] = "read",
		[BLOCK_WRITE] = "write",
		[BLOCK_FLUSH] = "flush",
		[BLOCK_PUNCH] = "discard",
		[BLOCK_ZERO] = "write of zeroes",
		[BLOCK_WRITE_ZEROES] = "write of zeroes",
	};

	if (req->io.result && req->io.result != -ECANCELED)
		log_guest(LOG_WARN, "disk: a %s of the guest failed: %s",
			  names[req->io.op], strerror(-req->io.result));
	blk_finish(blk, req,
		   req->io.result ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
}

/* --- starting --- */

static bool range_valid(const struct virtio_blk *blk, uint64_t sector,
			size_t len)
{
	uint64_t capacity = blk->disk.size / SECTOR;

	/* data and status have to fit the 32 bits of a used length */
	if (len % SECTOR || len >= UINT32_MAX - SECTOR)
		return false;
	return sector <= capacity && len / SECTOR <= capacity - sector &&
	       sector * SECTOR % blk->disk.block_size == 0 &&
	       len % blk->disk.block_size == 0;
}

static bool needs_bounce(const struct virtio_blk *blk,
			 const struct block_request *io)
{
	if (!blk->disk.direct)
		return false;
	for (unsigned i = 0; i < io->iov_count; i++)
		if ((uintptr_t)io->iov[i].iov_base % blk->disk.mem_align ||
		    io->iov[i].iov_len % blk->disk.block_size)
			return true;
	return false;
}

void blk_start_io(struct virtio_blk *blk, struct blk_request *req)
{
	blk->queue_inflight[req->queue]++;
	/* what waits for the disk does not wait for a batch to fill as well */
	blk->dev.queues[req->queue].batch = 1;
	block_engine_queue(blk->engine, &req->io);
}

/* A driver that did not take VIRTIO_BLK_F_FLUSH cannot ask for a flush: its
 * writes have to be on the disk itself once they are completed (5.2.6.2). */
void blk_finish_change(struct virtio_blk *blk, struct blk_request *req)
{
	if (blk->unsafe || virtio_has_feature(&blk->dev, VIRTIO_BLK_F_FLUSH)) {
		blk_finish(blk, req, VIRTIO_BLK_S_OK);
		return;
	}
	req->io.op = BLOCK_FLUSH;
	blk_start_io(blk, req);
}

void blk_park(struct virtio_blk *blk, struct blk_request *req)
{
	blk->state.parked[blk->state.parked_count++] = (struct blk_parked){
		.queue = (uint16_t)req->queue,
		.head = req->chain.head,
	};
	free(req->io.bounce);
	blk_slots_put(&blk->slots, req);
}

static void io_done(struct virtio_blk *blk, struct blk_request *req)
{
	if (req->io.cut && blk->pausing) {
		blk_park(blk, req);
		return;
	}
	/* another queue was being drained: this request goes on */
	if (req->io.cut && req->queue != blk->stopping) {
		blk_start_io(blk, req);
		return;
	}
	switch (req->io.op) {
	case BLOCK_READ:
	case BLOCK_FLUSH:
		blk_finish_io(blk, req);
		break;
	case BLOCK_WRITE:
		if (req->io.result)
			blk_finish_io(blk, req);
		else
			blk_finish_change(blk, req);
		break;
	case BLOCK_PUNCH:
	case BLOCK_ZERO:
	case BLOCK_WRITE_ZEROES:
		blk_zero_done(blk, req);
		break;
	}
}

/* Whether the page cache could do the whole request at once. */
static bool try_now(struct virtio_blk *blk, struct block_request *io)
{
	bool done, unsupported = false;

	/* RWF_NOWAIT with O_DIRECT would wait for the device. A request of
	 * several transfers goes to the engine, which spreads it over turns. */
	if (blk->cannot >> io->op & 1 || blk->disk.direct ||
	    io->left > BLOCK_TRANSFER_MAX)
		return false;
	blk->now_bytes = io->left;
	done = block_try_now(blk->disk.fd, io, blk->disk.in_memory,
			     &unsupported);
	if (unsupported)
		blk->cannot |= 1u << io->op;
	return done;
}

void blk_transfer(struct virtio_blk *blk, struct blk_request *req,
		  enum block_op op, uint64_t sector)
{
	struct block_request *io = &req->io;

	io->op = op;
	blk_request_set_data(req, op == BLOCK_READ);
	if (!range_valid(blk, sector, io->left) ||
	    (op == BLOCK_WRITE && blk->disk.readonly)) {
		blk_finish(blk, req, VIRTIO_BLK_S_IOERR);
		return;
	}
	blk_charge(blk, io->left, 0);
	if (op == BLOCK_READ)
		req->data_written = (uint32_t)io->left;
	io->offset = sector * SECTOR;
	if (!io->left)
		blk_finish(blk, req, VIRTIO_BLK_S_OK);
	else if (needs_bounce(blk, io) &&
		 block_request_bounce(io, blk->disk.mem_align))
		blk_finish(blk, req, VIRTIO_BLK_S_IOERR);
	else if (try_now(blk, io))
		io_done(blk, req);
	else
		blk_start_io(blk, req);
}

void blk_flush(struct virtio_blk *blk, struct blk_request *req)
{
	/* A flush covers the writes completed before it (5.2.6.2). It need not
	 * wait for others. */
	req->io.op = BLOCK_FLUSH;
	if (blk->disk.readonly || blk->unsafe)
		blk_finish(blk, req, VIRTIO_BLK_S_OK);
	else
		blk_start_io(blk, req);
}

/* Goes on with one request that the engine has finished. False when there is
 * none; with wait, only when none is under way. */
static bool reap_one(struct virtio_blk *blk, bool wait)
{
	struct block_request *io = block_engine_reap(blk->engine, wait);
	struct blk_request *req;

	if (!io)
		return false;
	if (io == &blk->swap.flush) {
		blk_swap_flush_done(blk);
		return true;
	}
	req = container_of(io, struct blk_request, io);
	blk->queue_inflight[req->queue]--;
	io_done(blk, req);
	return true;
}

void blk_reap(struct virtio_blk *blk)
{
	while (reap_one(blk, false))
		;
	block_engine_submit(blk->engine);
}

void blk_drain_all(struct virtio_blk *blk)
{
	blk->pausing = true;
	blk->engine->draining = true;
	while (reap_one(blk, true))
		;
	blk->engine->draining = false;
	blk->pausing = false;
}

void blk_drain(struct virtio_blk *blk, unsigned queue)
{
	if (!blk->queue_inflight[queue])
		return;
	/* the engine may access guest memory until the last one is back */
	blk->stopping = queue;
	blk->engine->draining = true;
	while (blk->queue_inflight[queue] && reap_one(blk, true))
		;
	blk->engine->draining = false;
	blk->stopping = NO_QUEUE;
	block_engine_submit(blk->engine);
}
