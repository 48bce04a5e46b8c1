#include "devices/block/virtio_blk.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "base/iov.h"
#include "base/le_types.h"
#include "base/wake.h"
#include "devices/block/virtio_blk_device.h"

/* A turn ends after this many requests, so that it holds neither a vCPU nor the
 * event loop for long; the rest has its turn in the event loop. Each
 * REQUEST_BYTES from the page cache count as one more request: a turn copies no
 * more than 4 MiB and one request. */
#define TURN_REQUESTS 128
#define REQUEST_BYTES (32u << 10)

static void get_id(struct virtio_blk *blk, struct blk_request *req)
{
	struct iov_cursor cursor;

	blk_request_set_data(req, true);
	cursor = iov_cursor(req->io.iov, req->io.iov_count);
	req->data_written =
		(uint32_t)iov_write(&cursor, blk->serial, sizeof(blk->serial));
	blk_finish(blk, req, VIRTIO_BLK_S_OK);
}

static void serve(struct virtio_blk *blk, struct blk_request *req,
		  const struct blk_header *header)
{
	switch (le32_get(header->type)) {
	case VIRTIO_BLK_T_IN:
		blk_transfer(blk, req, BLOCK_READ, le64_get(header->sector));
		break;
	case VIRTIO_BLK_T_OUT:
		blk_transfer(blk, req, BLOCK_WRITE, le64_get(header->sector));
		break;
	case VIRTIO_BLK_T_FLUSH:
		blk_flush(blk, req);
		break;
	case VIRTIO_BLK_T_DISCARD:
		blk_zero(blk, req, true);
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		blk_zero(blk, req, false);
		break;
	case VIRTIO_BLK_T_GET_ID:
		get_id(blk, req);
		break;
	default:
		blk_finish(blk, req, VIRTIO_BLK_S_UNSUPP);
	}
}

/* A slot for the next request of a queue. NULL when the request has to wait in
 * its ring, for a slot or a limit. */
static struct blk_request *make_room(struct virtio_blk *blk, unsigned queue)
{
	struct blk_request *req = NULL;

	if (!blk->limiter.enabled || rate_limiter_may(&blk->limiter))
		req = blk_slots_get(&blk->slots);
	if (!req) {
		blk->waiting |= 1u << queue;
		/* the device comes back to the queue by itself, without a kick
		 * or a batch's timer */
		blk->dev.queues[queue].batch = 1;
	}
	return req;
}

/* Serves the request whose chain is in the slot. As serve_next(). */
static int serve_chain(struct virtio_blk *blk, unsigned queue,
		       struct blk_request *req)
{
	struct blk_header header;

	req->io = (struct block_request){ 0 };
	req->queue = queue;
	req->data_written = 0;
	blk->now_bytes = 0;
	blk_charge(blk, 0, 1);
	/* without room for a status, the driver cannot learn the outcome */
	if (!blk_request_take_status(req)) {
		virtqueue_push(&blk->dev.queues[queue], req->chain.head, 0);
		blk_slots_put(&blk->slots, req);
		return -EPROTO;
	}
	if (blk_request_take_header(req, &header))
		serve(blk, req, &header);
	else
		blk_finish(blk, req, VIRTIO_BLK_S_IOERR);
	return 1 + (int)(blk->now_bytes / REQUEST_BYTES);
}

/* Pops and serves one request, for virtio_device_serve(). */
static int serve_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct virtio_blk *blk = blk_from_dev(dev);
	unsigned queue = (unsigned)(vq - dev->queues);
	struct blk_request *req = make_room(blk, queue);
	int ret;

	if (!req)
		return -EAGAIN;
	ret = virtqueue_pop(vq, &req->chain);
	if (ret <= 0) {
		blk_slots_put(&blk->slots, req);
		return ret;
	}
	blk->served = queue;
	return serve_chain(blk, queue, req);
}

static void notify(struct virtio_device *dev, unsigned queue)
{
	struct virtio_blk *blk = blk_from_dev(dev);

	virtio_device_serve(dev, queue, TURN_REQUESTS, serve_next);
	blk->pushed &= ~(1u << queue);
	block_engine_submit(blk->engine);
}

/* Tells the driver what was finished, on all queues: it may not have kicked any
 * of them. */
static void interrupt(struct virtio_blk *blk)
{
	for (unsigned i = 0; blk->pushed; i++, blk->pushed >>= 1)
		if (blk->pushed & 1)
			virtio_device_interrupt(&blk->dev, i);
}

/* Serves the queues that had to wait, each in a turn of its own. The queue that
 * was served last comes last, so that no queue starves another. */
static void serve_waiting(struct virtio_blk *blk)
{
	uint32_t waiting = blk->waiting;

	blk->waiting = 0;
	for (unsigned i = 1; i <= blk->dev.queue_count; i++) {
		unsigned queue = (blk->served + i) % blk->dev.queue_count;

		if (waiting >> queue & 1)
			virtio_device_again(&blk->dev, queue);
	}
}

/* After some requests were finished. */
static void go_on(struct virtio_blk *blk)
{
	interrupt(blk);
	if (blk->waiting && !blk->limiter.waiting)
		serve_waiting(blk);
}

static void limit_is_over(struct rate_limiter *limiter)
{
	serve_waiting(container_of(limiter, struct virtio_blk, limiter));
}

static void completions_ready(struct event_source *source, uint32_t events)
{
	struct virtio_blk *blk =
		container_of(source, struct virtio_blk, completions);

	(void)events;
	if (!wake_take(source->fd))
		return;
	blk_reap(blk);
	blk_swap_go_on(blk);
	go_on(blk);
}

static void queue_stop(struct virtio_device *dev, unsigned queue)
{
	struct virtio_blk *blk = blk_from_dev(dev);

	blk->waiting &= ~(1u << queue);
	if (!blk->waiting)
		rate_limiter_cancel(&blk->limiter);
	blk_drain(blk, queue);
	blk->pushed &= ~(1u << queue);
	go_on(blk);
	/* the event loop takes the next step of an exchange */
	if (blk->swap.pending)
		wake(blk->completions.fd);
}

/* Also completes an exchange that is under way: a saved state goes with one
 * disk. */
static void quiesce(struct virtio_device *dev)
{
	struct virtio_blk *blk = blk_from_dev(dev);

	while (blk->engine->inflight || blk->swap.pending) {
		blk_drain_all(blk);
		blk_swap_go_on(blk);
	}
	interrupt(blk);
}

static bool state_valid(struct virtio_device *dev, const void *state)
{
	const struct virtio_blk_state *s = state;

	if (s->parked_count > BLK_SLOTS_MAX)
		return false;
	for (unsigned i = 0; i < s->parked_count; i++)
		if (s->parked[i].queue >= dev->queue_count)
			return false;
	return blk_config_can_have(blk_from_dev(dev), s->block_size);
}

/* 0, or -EPROTO when the driver has broken the chain meanwhile. */
static int serve_parked(struct virtio_blk *blk, const struct blk_parked *parked)
{
	struct virtqueue *vq = &blk->dev.queues[parked->queue];
	struct blk_request *req = blk_slots_get(&blk->slots);

	if (virtqueue_fetch(vq, parked->head, &req->chain)) {
		blk_slots_put(&blk->slots, req);
		return -EPROTO;
	}
	return serve_chain(blk, parked->queue, req) < 0 ? -EPROTO : 0;
}

/* The disk may have another size than where the state was saved. All slots are
 * free when requests are parked. */
static int resume(struct virtio_device *dev)
{
	struct virtio_blk *blk = blk_from_dev(dev);
	unsigned count = virtio_device_up(dev) ? blk->state.parked_count : 0;
	int ret = 0;

	if (dev->loaded)
		blk_config_set_block_size(blk, blk->state.block_size);
	blk->state.parked_count = 0;
	for (unsigned i = 0; i < count && ret == 0; i++)
		ret = serve_parked(blk, &blk->state.parked[i]);
	if (count)
		block_engine_submit(blk->engine);
	return ret;
}

static void destroy(struct virtio_device *dev)
{
	struct virtio_blk *blk = blk_from_dev(dev);

	if (blk->engine) /* which a failed creation may lack */
		blk_drain_all(blk);
	block_engine_close(blk->engine, dev->loop, &blk->completions);
	blk_swap_destroy(blk);
	rate_limiter_destroy(&blk->limiter);
	blk_slots_destroy(&blk->slots);
}

static const struct virtio_device_ops blk_ops = {
	.name = "virtio-blk",
	.device_id = VIRTIO_ID_BLOCK,
	.size = sizeof(struct virtio_blk),
	.queue_size = VIRTIO_BLK_QUEUE_SIZE,
	.notify = notify,
	.queue_stop = queue_stop,
	.quiesce = quiesce,
	.resume = resume,
	.state_valid = state_valid,
	.destroy = destroy,
	.kick_inline = true,
	.batched = true,
};

/* --- set-up --- */

/* 0 or -errno; destroy() takes either. */
static int init(struct virtio_blk *blk,
		const struct virtio_blk_options *options)
{
	int ret;

	blk->disk = *options->disk;
	blk->unsafe = options->unsafe;
	blk->stopping = NO_QUEUE;
	blk->completions = (struct event_source){
		.fd = -1,
		.ready = completions_ready,
		.lock = &blk->dev.lock,
	};
	if (options->serial)
		memcpy(blk->serial, options->serial,
		       strnlen(options->serial, sizeof(blk->serial)));
	blk_config_fill(blk);
	ret = rate_limiter_init(&blk->limiter, &options->limits, blk->dev.loop,
				&blk->dev.lock, limit_is_over);
	return ret ? ret : blk_slots_init(&blk->slots);
}

struct virtio_device *
virtio_blk_create(const struct virtio_blk_options *options,
		  const struct guest_mem *mem, struct event_loop *loop,
		  struct error *err)
{
	const struct block_engine_options engine = {
		.fd = options->disk->fd,
		.max = BLK_SLOTS_MAX,
	};
	struct virtio_device *dev = virtio_device_create(&blk_ops, mem, loop,
							 blk_features(options),
							 options->queues, err);
	struct virtio_blk *blk;
	int ret;

	if (!dev)
		return NULL;
	blk = blk_from_dev(dev);
	ret = init(blk, options);
	if (ret)
		error_set(err, ERROR_IO, -ret, "virtio-blk");
	else
		blk->engine = block_engine_open(options->engine_create, engine,
						loop, &blk->completions, err);
	if (blk->engine)
		return dev;
	virtio_device_destroy(dev);
	return NULL;
}
