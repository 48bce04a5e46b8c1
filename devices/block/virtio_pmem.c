#include "devices/block/virtio_pmem.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pmem.h>
#include <string.h>

#include "base/container_of.h"
#include "base/iov.h"
#include "base/le_types.h"
#include "base/log.h"
#include "base/wake.h"

#define TURN_REQUESTS 64 /* served before others have a turn */

/* Answers to a request; the specification has only their numbers (5.19.6.1). */
#define RESP_OK 0
#define RESP_FAILED 1

#define RESP_SIZE sizeof(struct virtio_pmem_resp)

struct pmem_flush {
	struct block_request io;
	bool busy;
	bool abandoned; /* the driver has stopped the queue: no answer */
	uint16_t head;
	uint8_t *resp[RESP_SIZE]; /* the place of each byte of the answer */
};

struct virtio_pmem {
	struct virtio_device dev;
	struct virtio_pmem_config config;
	struct pmem_flush flushes[VIRTIO_PMEM_FLUSHES_MAX];
	bool waiting; /* requests in the ring found no free flush */
	struct event_source completions;
	struct block_engine *engine; /* NULL: flushes are done at once */
};

static struct virtio_pmem *from_dev(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_pmem, dev);
}

/* --- requests --- */

static bool take_type(const struct chain *chain, uint32_t *type)
{
	struct iov_cursor cursor = iov_cursor(chain->iov, chain->out_count);
	le32_t value;

	if (iov_read(&cursor, &value, sizeof(value)) != sizeof(value))
		return false;
	*type = le32_get(value);
	return true;
}

/* Finds the place of each byte of the answer: the driver may have divided it
 * among descriptors in any way. */
static bool take_resp(const struct chain *chain, uint8_t *resp[RESP_SIZE])
{
	const struct iovec *iov = chain->iov + chain->out_count;
	unsigned found = 0;

	for (unsigned i = 0; i < chain->in_count; i++)
		for (size_t at = 0; at < iov[i].iov_len; at++) {
			resp[found++] = (uint8_t *)iov[i].iov_base + at;
			if (found == RESP_SIZE)
				return true;
		}
	return false;
}

static void finish(struct virtio_pmem *pmem, struct pmem_flush *flush, int ret)
{
	le32_t answer = le32(ret ? RESP_FAILED : RESP_OK);

	for (unsigned i = 0; i < RESP_SIZE; i++)
		*flush->resp[i] = ((const uint8_t *)&answer)[i];
	virtqueue_push(&pmem->dev.queues[0], flush->head, RESP_SIZE);
}

static void serve(struct virtio_pmem *pmem, struct pmem_flush *flush,
		  uint32_t type)
{
	if (type != VIRTIO_PMEM_REQ_TYPE_FLUSH) {
		finish(pmem, flush, -EOPNOTSUPP);
	} else if (!pmem->engine) {
		finish(pmem, flush, 0);
	} else {
		flush->io = (struct block_request){ .op = BLOCK_FLUSH };
		flush->busy = true;
		flush->abandoned = false;
		block_engine_queue(pmem->engine, &flush->io);
	}
}

static struct pmem_flush *free_flush(struct virtio_pmem *pmem)
{
	for (unsigned i = 0; i < VIRTIO_PMEM_FLUSHES_MAX; i++)
		if (!pmem->flushes[i].busy)
			return &pmem->flushes[i];
	return NULL;
}

static int serve_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct virtio_pmem *pmem = from_dev(dev);
	struct pmem_flush *flush = free_flush(pmem);
	struct chain chain;
	uint32_t type;
	int ret;

	pmem->waiting = !flush;
	if (!flush)
		return -EAGAIN;
	ret = virtqueue_pop(vq, &chain);
	if (ret <= 0)
		return ret;
	flush->head = chain.head;
	if (!take_type(&chain, &type) || !take_resp(&chain, flush->resp)) {
		virtqueue_push(vq, chain.head, 0);
		return -EPROTO;
	}
	serve(pmem, flush, type);
	return 1;
}

static void notify(struct virtio_device *dev, unsigned queue)
{
	struct virtio_pmem *pmem = from_dev(dev);

	virtio_device_serve(dev, queue, TURN_REQUESTS, serve_next);
	if (pmem->engine)
		block_engine_submit(pmem->engine);
}

/* --- completions --- */

static bool reap_one(struct virtio_pmem *pmem, bool wait)
{
	struct block_request *io = block_engine_reap(pmem->engine, wait);
	struct pmem_flush *flush;

	if (!io)
		return false;
	flush = container_of(io, struct pmem_flush, io);
	flush->busy = false;
	if (io->result)
		log_guest(LOG_WARN, "pmem: a flush of the guest failed: %s",
			  strerror(-io->result));
	if (!flush->abandoned)
		finish(pmem, flush, io->result);
	return true;
}

static void completions_ready(struct event_source *source, uint32_t events)
{
	struct virtio_pmem *pmem =
		container_of(source, struct virtio_pmem, completions);

	(void)events;
	if (!wake_take(source->fd))
		return;
	while (reap_one(pmem, false))
		;
	if (!virtio_device_up(&pmem->dev))
		return;
	virtio_device_interrupt(&pmem->dev, 0);
	if (pmem->waiting)
		virtio_device_notify(&pmem->dev, 0);
}

static void drain(struct virtio_pmem *pmem)
{
	while (pmem->engine && reap_one(pmem, true))
		;
}

static void quiesce(struct virtio_device *dev)
{
	drain(from_dev(dev));
	virtio_device_interrupt(dev, 0);
}

/* A flush may take the host long, and is not waited for: it touches no guest
 * memory but the answer, which nobody wants any more. */
static void queue_stop(struct virtio_device *dev, unsigned queue)
{
	struct virtio_pmem *pmem = from_dev(dev);

	(void)queue;
	for (unsigned i = 0; i < VIRTIO_PMEM_FLUSHES_MAX; i++)
		pmem->flushes[i].abandoned = true;
	pmem->waiting = false;
}

static void destroy(struct virtio_device *dev)
{
	struct virtio_pmem *pmem = from_dev(dev);

	drain(pmem);
	block_engine_close(pmem->engine, dev->loop, &pmem->completions);
}

static const struct virtio_device_ops pmem_ops = {
	.name = "virtio-pmem",
	.device_id = VIRTIO_ID_PMEM,
	.size = sizeof(struct virtio_pmem),
	.queue_size = VIRTIO_PMEM_QUEUE_SIZE,
	.notify = notify,
	.queue_stop = queue_stop,
	.quiesce = quiesce,
	.destroy = destroy,
	.kick_inline = true,
};

/* --- set-up --- */

static void init(struct virtio_pmem *pmem,
		 const struct virtio_pmem_options *options)
{
	le64_t start = le64(options->start), size = le64(options->size);

	memcpy(&pmem->config.start, &start, sizeof(start));
	memcpy(&pmem->config.size, &size, sizeof(size));
	pmem->dev.config = &pmem->config;
	pmem->dev.config_size = sizeof(pmem->config);
	pmem->completions = (struct event_source){
		.fd = -1,
		.ready = completions_ready,
		.lock = &pmem->dev.lock,
	};
}

struct virtio_device *
virtio_pmem_create(const struct virtio_pmem_options *options,
		   const struct guest_mem *mem, struct event_loop *loop,
		   struct error *err)
{
	const struct block_engine_options engine = {
		.fd = options->fd,
		.max = VIRTIO_PMEM_FLUSHES_MAX,
	};
	struct virtio_device *dev =
		virtio_device_create(&pmem_ops, mem, loop, 0, 1, err);
	struct virtio_pmem *pmem;

	if (!dev)
		return NULL;
	pmem = from_dev(dev);
	init(pmem, options);
	if (options->fd < 0)
		return dev;
	pmem->engine = block_engine_open(options->engine_create, engine, loop,
					 &pmem->completions, err);
	if (pmem->engine)
		return dev;
	error_wrap(err, "virtio-pmem");
	virtio_device_destroy(dev);
	return NULL;
}
