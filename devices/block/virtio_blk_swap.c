/* A new size, or another disk, under a running driver.
 *
 * An exchange has these steps. The device is held, so that it takes no more
 * requests from the rings. It waits for those under way, and flushes the old
 * disk. The engine takes the new disk's file. The device goes on. All that the
 * driver notices is a pause, and the new capacity if that differs.
 */
#include <string.h>

#include "base/log.h"
#include "devices/block/virtio_blk_device.h"
#include "devices/virtio/virtio_state.h"

/* The driver goes on with the block size that it knows, even if the new disk's
 * is smaller. */
static void set_size(struct virtio_blk *blk, uint64_t size)
{
	blk->disk.size = size - size % blk->disk.block_size;
	blk_config_set_capacity(blk);
	virtio_device_config_changed(&blk->dev);
}

void virtio_blk_resize(struct virtio_device *dev, uint64_t size)
{
	struct virtio_blk *blk = blk_from_dev(dev);

	if (size - size % blk->disk.block_size != blk->disk.size)
		set_size(blk, size);
}

static void take_disk(struct virtio_blk *blk, const struct disk *disk)
{
	uint32_t block_size = blk->disk.block_size;

	blk->disk = *disk;
	blk->disk.block_size = block_size;
	blk->cannot = 0;
	set_size(blk, disk->size);
}

static void end(struct virtio_blk *blk, int result)
{
	blk->swap.pending = false;
	virtio_device_resume(&blk->dev);
	blk->swap.swapped(blk->swap.ctx, result);
}

/* Whether a flush was needed. */
static bool start_flush(struct virtio_blk *blk)
{
	if (blk->disk.readonly || blk->unsafe)
		return false;
	blk->swap.flush = (struct block_request){ .op = BLOCK_FLUSH };
	block_engine_queue(blk->engine, &blk->swap.flush);
	block_engine_submit(blk->engine);
	return true;
}

void blk_swap_go_on(struct virtio_blk *blk)
{
	struct blk_swap *swap = &blk->swap;
	int ret;

	if (!swap->pending || blk->engine->inflight)
		return;
	if (!swap->flushed) {
		swap->flushed = true;
		if (start_flush(blk))
			return;
	}
	ret = block_engine_set_file(blk->engine, swap->disk.fd);
	if (ret == 0)
		take_disk(blk, &swap->disk);
	end(blk, ret);
}

void blk_swap_flush_done(struct virtio_blk *blk)
{
	int result = blk->swap.flush.result;

	if (blk->swap.flush.cut)
		blk->swap.flushed = false;
	else if (result)
		log_warn(
			"disk: what the guest wrote to the old one may not "
			"be on it: %s",
			strerror(-result));
}

void blk_swap_destroy(struct virtio_blk *blk)
{
	if (blk->swap.pending)
		end(blk, 0);
}

int virtio_blk_swap(struct virtio_device *dev, const struct disk *disk,
		    virtio_blk_swapped_fn *swapped, void *ctx,
		    struct error *err)
{
	struct virtio_blk *blk = blk_from_dev(dev);

	if (blk->swap.pending)
		return error_io(err, "is being exchanged");
	if (disk->readonly != blk->disk.readonly)
		return error_io(err, "one can be written to, the other not");
	if (disk->block_size > blk->disk.block_size)
		return error_io(err,
				"it wants blocks of %u bytes, and the guest "
				"knows of %u",
				disk->block_size, blk->disk.block_size);
	blk->swap = (struct blk_swap){
		.pending = true,
		.disk = *disk,
		.swapped = swapped,
		.ctx = ctx,
	};
	virtio_device_hold(dev);
	blk_swap_go_on(blk);
	return 0;
}
