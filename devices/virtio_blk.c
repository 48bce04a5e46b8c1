#include "devices/virtio_blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/iov.h"
#include "base/le_types.h"
#include "base/log.h"
#include "devices/virtio_blk_request.h"

#define SECTOR 512

/* One turn ends after this many requests, so that neither a vCPU nor the event
 * loop is held for long; the rest has its turn in the event loop. So many
 * bytes from the page cache count as one more, which makes 4 MiB a turn. */
#define TURN_REQUESTS VIRTIO_BLK_QUEUE_SIZE
#define REQUEST_BYTES (32u << 10)

struct virtio_blk {
	struct virtio_device dev;
	struct virtio_blk_config config;
	struct disk disk;
	char serial[VIRTIO_BLK_SERIAL_MAX];
	struct blk_slots slots;
	unsigned inflight; /* with the engine */
	bool queued;	   /* some of them, since the last submit */
	size_t now_bytes;  /* of this request, from the page cache */
	struct event_source completions;
	struct block_engine *engine; /* NULL until first needed */
	block_engine_create_fn *engine_create;
	bool no_read_now; /* the file cannot do RWF_NOWAIT */
	bool no_write_now;
};

static struct virtio_blk *from_dev(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_blk, dev);
}

/* --- finishing --- */

/* Tells the driver the outcome and gives its chain back. Used length: all of
 * the data and the status on success, else just a status (2.7.8). */
static void request_finish(struct virtio_blk *blk, struct blk_request *req,
			   uint8_t status)
{
	uint32_t written = status == VIRTIO_BLK_S_OK ? req->data_written : 0;

	*req->status = status;
	free(req->io.bounce);
	virtqueue_push(&blk->dev.queues[0], req->chain.head, written + 1);
	blk_slots_put(&blk->slots, req);
}

static void request_finish_io(struct virtio_blk *blk, struct blk_request *req)
{
	if (req->io.result && req->io.result != -ECANCELED)
		log_guest(LOG_WARN, "disk: %s of the guest failed: %s",
			  req->io.op == BLOCK_READ    ? "a read"
			  : req->io.op == BLOCK_WRITE ? "a write"
						      : "a flush",
			  strerror(-req->io.result));
	request_finish(blk, req,
		       req->io.result ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
}

/* --- serving --- */

static bool range_valid(const struct virtio_blk *blk, uint64_t sector,
			size_t len)
{
	uint64_t capacity = blk->disk.size / SECTOR;

	/* the used ring's length field, status included, has 32 bits */
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

static void get_id(struct virtio_blk *blk, struct blk_request *req)
{
	struct iov_cursor cursor;

	blk_request_set_data(req, true);
	cursor = iov_cursor(req->io.iov, req->io.iov_count);
	req->data_written =
		(uint32_t)iov_write(&cursor, blk->serial, sizeof(blk->serial));
	request_finish(blk, req, VIRTIO_BLK_S_OK);
}

/* Has the engine do it, for which the caller submits afterwards. */
static void start_io(struct virtio_blk *blk, struct blk_request *req)
{
	struct error err;

	if (!blk->engine) {
		struct block_engine_config config = {
			.fd = blk->disk.fd,
			.event_fd = blk->completions.fd,
			.max = VIRTIO_BLK_QUEUE_SIZE,
		};

		blk->engine = blk->engine_create(&config, &err);
	}
	if (!blk->engine) {
		log_guest(LOG_ERROR, "disk: %s", err.text);
		request_finish(blk, req, VIRTIO_BLK_S_IOERR);
		return;
	}
	blk->inflight++;
	blk->queued = true;
	blk->engine->ops->queue(blk->engine, &req->io);
}

static void submit_io(struct virtio_blk *blk)
{
	if (blk->queued)
		blk->engine->ops->submit(blk->engine);
	blk->queued = false;
}

/* A read, write or flush has come to its end. A driver that did not take
 * VIRTIO_BLK_F_FLUSH has no way to ask for one: its writes are stable, on the
 * disk itself, once they are completed (5.2.6.2). */
static void io_done(struct virtio_blk *blk, struct blk_request *req)
{
	struct block_request *io = &req->io;

	if (io->op != BLOCK_WRITE || io->result ||
	    virtio_has_feature(&blk->dev, VIRTIO_BLK_F_FLUSH)) {
		request_finish_io(blk, req);
		return;
	}
	io->op = BLOCK_FLUSH;
	start_io(blk, req);
}

/* Whether the page cache could do the whole request at once. */
static bool try_now(struct virtio_blk *blk, struct block_request *io)
{
	bool *never = io->op == BLOCK_READ ? &blk->no_read_now
					   : &blk->no_write_now;

	/* RWF_NOWAIT with O_DIRECT would wait for the device; what takes more
	 * than one transfer is the engine's to spread over turns */
	if (*never || blk->disk.direct || io->left > BLOCK_TRANSFER_MAX)
		return false;
	blk->now_bytes = io->left;
	return block_try_now(blk->disk.fd, io, never);
}

static void transfer(struct virtio_blk *blk, struct blk_request *req,
		     enum block_op op, uint64_t sector)
{
	struct block_request *io = &req->io;

	io->op = op;
	blk_request_set_data(req, op == BLOCK_READ);
	if (!range_valid(blk, sector, io->left) ||
	    (op == BLOCK_WRITE && blk->disk.readonly)) {
		request_finish(blk, req, VIRTIO_BLK_S_IOERR);
		return;
	}
	if (op == BLOCK_READ)
		req->data_written = (uint32_t)io->left;
	io->offset = sector * SECTOR;
	if (!io->left)
		request_finish(blk, req, VIRTIO_BLK_S_OK);
	else if (needs_bounce(blk, io) &&
		 block_request_bounce(io, blk->disk.mem_align))
		request_finish(blk, req, VIRTIO_BLK_S_IOERR);
	else if (try_now(blk, io))
		io_done(blk, req);
	else
		start_io(blk, req);
}

static void serve(struct virtio_blk *blk, struct blk_request *req,
		  const struct blk_header *header)
{
	switch (le32_get(header->type)) {
	case VIRTIO_BLK_T_IN:
		transfer(blk, req, BLOCK_READ, le64_get(header->sector));
		break;
	case VIRTIO_BLK_T_OUT:
		transfer(blk, req, BLOCK_WRITE, le64_get(header->sector));
		break;
	case VIRTIO_BLK_T_FLUSH:
		/* Covers writes that were completed (5.2.6.2); those under
		 * way are the driver's to wait for. */
		req->io.op = BLOCK_FLUSH;
		if (blk->disk.readonly)
			request_finish(blk, req, VIRTIO_BLK_S_OK);
		else
			start_io(blk, req);
		break;
	case VIRTIO_BLK_T_GET_ID:
		get_id(blk, req);
		break;
	default:
		request_finish(blk, req, VIRTIO_BLK_S_UNSUPP);
	}
}

/* Pops and serves one request, for virtio_device_serve(). */
static int serve_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct virtio_blk *blk = from_dev(dev);
	struct blk_request *req = blk_slots_get(&blk->slots);
	struct blk_header header;
	int ret = virtqueue_pop(vq, &req->chain);

	if (ret <= 0) {
		blk_slots_put(&blk->slots, req);
		return ret;
	}
	req->io = (struct block_request){ 0 };
	req->data_written = 0;
	blk->now_bytes = 0;
	/* Nowhere to put a status, or more chains than the queue has entries,
	 * so that some were given twice: beyond repair. */
	if (!blk_request_take_status(req) ||
	    blk->inflight == VIRTIO_BLK_QUEUE_SIZE) {
		virtqueue_push(vq, req->chain.head, 0);
		blk_slots_put(&blk->slots, req);
		return -EPROTO;
	}
	if (blk_request_take_header(req, &header))
		serve(blk, req, &header);
	else
		request_finish(blk, req, VIRTIO_BLK_S_IOERR);
	return 1 + (int)(blk->now_bytes / REQUEST_BYTES);
}

/* Goes on with what the engine has finished. */
static void reap(struct virtio_blk *blk, bool wait)
{
	struct block_request *io;

	while (blk->inflight &&
	       (io = blk->engine->ops->reap(blk->engine, wait))) {
		blk->inflight--;
		io_done(blk, container_of(io, struct blk_request, io));
	}
	submit_io(blk);
}

static void notify(struct virtio_device *dev, unsigned queue)
{
	virtio_device_serve(dev, queue, TURN_REQUESTS, serve_next);
	submit_io(from_dev(dev));
}

static void completions_ready(struct event_source *source, uint32_t events)
{
	struct virtio_blk *blk =
		container_of(source, struct virtio_blk, completions);
	uint64_t count;

	(void)events;
	if (read(source->fd, &count, sizeof(count)) < 0)
		return;
	reap(blk, false);
	if (blk->dev.queues[0].state.ready)
		virtio_device_interrupt(&blk->dev, 0);
}

static void queue_stop(struct virtio_device *dev, unsigned queue)
{
	struct virtio_blk *blk = from_dev(dev);

	(void)queue; /* there is only one */
	if (!blk->engine)
		return;
	/* The engine writes to guest memory until the last one is back. */
	blk->engine->draining = true;
	reap(blk, true);
	blk->engine->draining = false;
}

static const struct virtio_device_ops blk_ops = {
	.device_id = VIRTIO_ID_BLOCK,
	.notify = notify,
	.queue_stop = queue_stop,
	.kick_inline = true,
};

/* --- set-up --- */

static uint64_t features_of(const struct disk *disk)
{
	uint64_t features = 1ULL << VIRTIO_BLK_F_SEG_MAX |
			    1ULL << VIRTIO_BLK_F_BLK_SIZE |
			    1ULL << VIRTIO_BLK_F_FLUSH;

	if (disk->readonly)
		features |= 1ULL << VIRTIO_BLK_F_RO;
	return features;
}

static void set_config(struct virtio_blk *blk)
{
	le64_t capacity = le64(blk->disk.size / SECTOR);
	le32_t seg_max = le32(CHAIN_IOV_MAX - 2); /* header and status */
	le32_t blk_size = le32(blk->disk.block_size);

	memcpy(&blk->config.capacity, &capacity, sizeof(capacity));
	memcpy(&blk->config.seg_max, &seg_max, sizeof(seg_max));
	memcpy(&blk->config.blk_size, &blk_size, sizeof(blk_size));
	blk->dev.config = &blk->config;
	blk->dev.config_size = sizeof(blk->config);
}

struct virtio_device *
virtio_blk_create(const struct virtio_blk_options *options,
		  const struct guest_mem *mem, struct event_loop *loop,
		  struct error *err)
{
	struct virtio_blk *blk = calloc(1, sizeof(*blk));
	int ret = -ENOMEM;

	if (!blk)
		goto fail;
	blk->disk = *options->disk;
	blk->engine_create = options->engine_create ? options->engine_create
						    : block_engine_create;
	if (options->serial)
		memcpy(blk->serial, options->serial,
		       strnlen(options->serial, sizeof(blk->serial)));
	virtio_device_init(&blk->dev, &blk_ops, mem, loop,
			   features_of(&blk->disk), 1, VIRTIO_BLK_QUEUE_SIZE);
	set_config(blk);
	blk->completions = (struct event_source){
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.ready = completions_ready,
		.lock = &blk->dev.lock,
	};
	ret = blk->completions.fd < 0 ? -errno : blk_slots_init(&blk->slots);
	if (ret == 0)
		ret = event_loop_add(loop, &blk->completions, EPOLLIN);
	if (ret)
		goto fail;
	return &blk->dev;
fail:
	error_set(err, ERROR_IO, -ret, "virtio-blk");
	if (blk)
		virtio_blk_destroy(&blk->dev);
	return NULL;
}

void virtio_blk_destroy(struct virtio_device *dev)
{
	struct virtio_blk *blk = from_dev(dev);

	if (!dev)
		return;
	if (blk->engine)
		blk->engine->ops->destroy(blk->engine);
	event_loop_remove(dev->loop, &blk->completions);
	if (blk->completions.fd >= 0)
		close(blk->completions.fd);
	blk_slots_destroy(&blk->slots);
	virtio_device_destroy(dev);
	free(blk);
}
