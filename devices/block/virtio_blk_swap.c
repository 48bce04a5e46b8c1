/* A new size, or another disk, under a running driver.
 *
 * For the latter the device is held, so that no request is taken from the rings
 * any more. When what is under way has come back, and the old disk has all that
 * was written to it, the new one takes its place and the device goes on. The
 * driver notices a pause and perhaps a new capacity.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "devices/block/virtio_blk_device.h"
#include "devices/virtio/virtio_state.h"

/* The driver's blocks stay what they are, whatever the disk's own. */
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

static void exchange(struct virtio_blk *blk)
{
	struct blk_swap *swap = &blk->swap;
	uint32_t block_size = blk->disk.block_size;

	if (blk->engine)
		blk->engine->ops->destroy(blk->engine);
	blk->engine = NULL;
	blk->disk = swap->disk;
	blk->disk.block_size = block_size;
	blk->no_read_now = false;
	blk->no_write_now = false;
	blk->no_punch = false;
	blk->no_zero = false;
	swap->pending = false;
	swap->swapped(swap->ctx);
}

/* Whether there was something to write. */
static bool start_flush(struct virtio_blk *blk)
{
	if (blk->disk.readonly || blk->unsafe || !blk_engine(blk))
		return false;
	blk->swap.flush = (struct block_request){ .op = BLOCK_FLUSH };
	blk->inflight++;
	blk->queued = true;
	blk->engine->ops->queue(blk->engine, &blk->swap.flush);
	blk_submit(blk);
	return true;
}

void blk_swap_go_on(struct virtio_blk *blk)
{
	if (!blk->swap.pending || blk->inflight)
		return;
	if (!blk->swap.flushed) {
		blk->swap.flushed = true;
		if (start_flush(blk))
			return;
	}
	exchange(blk);
	set_size(blk, blk->disk.size);
	virtio_device_resume(&blk->dev);
}

void blk_swap_flush_done(struct virtio_blk *blk)
{
	int result = blk->swap.flush.result;

	if (result)
		log_warn(
			"disk: what the guest wrote to the old one may not "
			"be on it: %s",
			strerror(-result));
}

void blk_swap_destroy(struct virtio_blk *blk)
{
	if (blk->swap.pending)
		exchange(blk);
}

int virtio_blk_swap(struct virtio_device *dev, const struct disk *disk,
		    virtio_blk_swapped_fn *swapped, void *ctx,
		    struct error *err)
{
	struct virtio_blk *blk = blk_from_dev(dev);

	if (blk->swap.pending)
		return error_set(err, ERROR_IO, 0, "is being exchanged");
	if (disk->readonly != blk->disk.readonly)
		return error_set(err, ERROR_IO, 0,
				 "one can be written to, the other not");
	if (disk->block_size > blk->disk.block_size)
		return error_set(err, ERROR_IO, 0,
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
