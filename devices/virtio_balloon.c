#include "devices/virtio_balloon.h"

#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/iov.h"
#include "base/le_types.h"
#include "base/log.h"
#include "base/timer.h"

#define INFLATE_QUEUE 0 /* 5.5.2 */
#define DEFLATE_QUEUE 1
#define STATS_QUEUE 2
#define REPORTING_QUEUE 4
#define QUEUES 5

#define PAGE_SHIFT VIRTIO_BALLOON_PFN_SHIFT /* whatever the guest's pages */
#define PAGE_SIZE (1ULL << PAGE_SHIFT)

/* What a turn may cost, in pages to give back: some milliseconds if all of
 * them are there. Getting to them costs, too, and reading what they are. */
#define TURN_PAGES 4096
#define CHAIN_COST 16
#define CALL_COST 16
#define LISTED_PER_COST 8

/* The most of a chain that is served without a look at the turn. */
#define PFNS_MAX 256
#define REPORTED_MAX (4ULL << 20)

/* A chain that is served in pieces. */
struct request {
	bool busy;
	size_t left; /* bytes that cursor has before it */
	struct iov_cursor cursor;
	struct chain chain;
};

/* What survives a snapshot. Chains in hand do not: they go back to their rings
 * (next_avail), as it does no harm to serve them anew. */
struct balloon_state {
	struct virtio_balloon_config config;
	uint32_t reporting_queue; /* its number, or QUEUES without it */
	uint32_t pad;
	struct balloon_stats stats;
};

struct balloon {
	struct virtio_device dev;
	struct balloon_state state;
	int (*discard)(void *ctx, uint8_t *host, uint64_t len);
	void *ctx;

	struct request inflate;
	struct request report;

	/* The driver's one buffer of statistics is kept until the next are due
	 * (5.5.6.3). */
	unsigned stats_every;
	struct timer stats_timer; /* closed if there are no statistics */
	bool stats_held;
	bool stats_asked;
	uint16_t stats_head;
};

static struct balloon *from_dev(struct virtio_device *dev)
{
	return container_of(dev, struct balloon, dev);
}

/* --- pages --- */

/* Returns what it cost. */
static unsigned give_back(struct balloon *balloon, uint8_t *host, uint64_t len)
{
	int ret = balloon->discard(balloon->ctx, host, len);

	if (ret)
		log_guest(LOG_WARN, "balloon: memory is not given back: %s",
			  strerror(-ret));
	return CALL_COST + (unsigned)(len >> PAGE_SHIFT);
}

/* Pops the next chain into an idle request. Its buffers are all readable or all
 * writable, and hold whole units. As virtqueue_pop(). */
static int request_pop(struct request *request, struct virtqueue *vq,
		       bool writable, size_t unit)
{
	struct chain *chain = &request->chain;
	unsigned count;
	int ret = virtqueue_pop(vq, chain);

	if (ret <= 0)
		return ret;
	count = writable ? chain->in_count : chain->out_count;
	request->left = iov_length(chain->iov, count);
	request->cursor = iov_cursor(chain->iov, count);
	if (count != chain->in_count + chain->out_count ||
	    request->left % unit) {
		virtqueue_push(vq, chain->head, 0);
		return -EPROTO;
	}
	request->busy = true;
	return 1;
}

/* So many bytes were served. */
static void request_advance(struct request *request, struct virtqueue *vq,
			    size_t len)
{
	request->left -= len;
	if (request->left)
		return;
	virtqueue_push(vq, request->chain.head, 0);
	request->busy = false;
}

/* Neighbours are given back together. A driver that fills the balloon in one
 * go lists them upwards or downwards. */
struct run {
	uint8_t *start, *end;
};

static unsigned run_end(struct balloon *balloon, struct run *run)
{
	if (run->start == run->end)
		return 0;
	return give_back(balloon, run->start,
			 (uint64_t)(run->end - run->start));
}

static unsigned run_add(struct balloon *balloon, struct run *run, uint32_t pfn)
{
	uint8_t *page = guest_range(balloon->dev.mem,
				    (uint64_t)pfn << PAGE_SHIFT, PAGE_SIZE);
	unsigned cost = 0;

	if (!page) {
		log_guest(LOG_WARN, "balloon: page %#x is not guest memory",
			  pfn);
	} else if (page == run->end) {
		run->end += PAGE_SIZE;
	} else if (page + PAGE_SIZE == run->start) {
		run->start = page;
	} else if (page < run->start || page > run->end) {
		cost = run_end(balloon, run);
		*run = (struct run){ page, page + PAGE_SIZE };
	}
	return cost;
}

static int inflate_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct balloon *balloon = from_dev(dev);
	struct request *request = &balloon->inflate;
	struct run run = { NULL, NULL };
	le32_t pfns[PFNS_MAX];
	unsigned cost, count;

	if (!request->busy) {
		int ret = request_pop(request, vq, false, sizeof(pfns[0]));

		if (ret <= 0)
			return ret;
	}
	count = (unsigned)(iov_read(&request->cursor, pfns, sizeof(pfns)) /
			   sizeof(pfns[0]));
	cost = CHAIN_COST + count / LISTED_PER_COST;
	for (unsigned i = 0; i < count; i++)
		cost += run_add(balloon, &run, le32_get(pfns[i]));
	cost += run_end(balloon, &run);
	request_advance(request, vq, count * sizeof(pfns[0]));
	return (int)cost;
}

/* Pages out of the balloon are the guest's again as they are. */
static int deflate_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct chain chain;
	int ret = virtqueue_pop(vq, &chain);

	(void)dev;
	if (ret <= 0)
		return ret;
	virtqueue_push(vq, chain.head, 0);
	return CHAIN_COST;
}

/* Free pages that the driver wants to find filled as it filled them do not
 * change, unless that is with zeros (5.5.6.7.2). */
static bool keeps_poison(const struct balloon *balloon)
{
	return virtio_has_feature(&balloon->dev,
				  VIRTIO_BALLOON_F_PAGE_POISON) &&
	       balloon->state.config.poison_val != 0;
}

static int report_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct balloon *balloon = from_dev(dev);
	struct request *request = &balloon->report;
	unsigned cost = CHAIN_COST;
	struct iovec piece;

	if (!request->busy) {
		int ret = request_pop(request, vq, true, 1);

		if (ret <= 0)
			return ret;
	}
	piece = iov_next(&request->cursor, REPORTED_MAX);
	if (piece.iov_len && !keeps_poison(balloon))
		cost += give_back(balloon, piece.iov_base, piece.iov_len);
	request_advance(request, vq, piece.iov_len);
	return (int)cost;
}

/* --- statistics --- */

static void log_stats(const struct balloon *balloon)
{
	const struct virtio_balloon_config *config = &balloon->state.config;
	char text[512];

	balloon_stats_print(&balloon->state.stats, text, sizeof(text));
	log_guest(LOG_INFO, "balloon: %u of %u MiB; guest memory: %s",
		  le32toh(config->actual) >> (20 - PAGE_SHIFT),
		  le32toh(config->num_pages) >> (20 - PAGE_SHIFT), text);
}

/* The driver gives one buffer at a time; if it gives more, the last counts. */
static int stats_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct balloon *balloon = from_dev(dev);
	struct chain chain;
	int ret = virtqueue_pop(vq, &chain);

	if (ret <= 0)
		return ret;
	if (balloon->stats_held)
		virtqueue_push(vq, balloon->stats_head, 0);
	balloon->stats_held = true;
	balloon->stats_head = chain.head;
	balloon_stats_read(&balloon->state.stats,
			   iov_cursor(chain.iov, chain.out_count));
	if (balloon->stats_asked)
		log_stats(balloon);
	balloon->stats_asked = false;
	return CHAIN_COST;
}

static void ask_for_stats(struct timer *timer)
{
	struct balloon *balloon =
		container_of(timer, struct balloon, stats_timer);
	struct virtio_device *dev = &balloon->dev;

	if (!virtio_device_up(dev) || !balloon->stats_held)
		return;
	balloon->stats_held = false;
	balloon->stats_asked = true;
	virtqueue_push(&dev->queues[STATS_QUEUE], balloon->stats_head, 0);
	virtio_device_interrupt(dev, STATS_QUEUE);
}

/* --- the driver --- */

static bool has_stats(const struct virtio_device *dev)
{
	return virtio_has_feature(dev, VIRTIO_BALLOON_F_STATS_VQ);
}

/* 5.5.2 gives each queue a number of its own. Linux leaves none free: it counts
 * only the queues that exist by the features. Either is understood. */
static uint32_t find_reporting_queue(const struct virtio_device *dev)
{
	if (!virtio_has_feature(dev, VIRTIO_BALLOON_F_REPORTING))
		return QUEUES;
	if (dev->queues[REPORTING_QUEUE].state.ready)
		return REPORTING_QUEUE;
	return has_stats(dev) ? STATS_QUEUE + 1 : STATS_QUEUE;
}

static void notify(struct virtio_device *dev, unsigned queue)
{
	int (*next)(struct virtio_device * dev, struct virtqueue * vq);

	if (queue == from_dev(dev)->state.reporting_queue)
		next = report_next;
	else if (queue == INFLATE_QUEUE)
		next = inflate_next;
	else if (queue == DEFLATE_QUEUE)
		next = deflate_next;
	else if (queue == STATS_QUEUE && has_stats(dev))
		next = stats_next;
	else
		return;
	virtio_device_serve(dev, queue, TURN_PAGES, next);
}

static int activate(struct virtio_device *dev)
{
	struct balloon *balloon = from_dev(dev);

	balloon->state.config.actual = 0;
	balloon->state.stats = (struct balloon_stats){ 0 };
	balloon->state.reporting_queue = find_reporting_queue(dev);
	if (has_stats(dev) && dev->queues[STATS_QUEUE].state.ready)
		timer_set_interval_s(&balloon->stats_timer,
				     balloon->stats_every);
	/* Linux gives the first statistics, and kicks, before the device may
	 * look at them */
	for (unsigned i = 0; i < dev->queue_count; i++)
		if (dev->queues[i].state.ready && !virtio_device_again(dev, i))
			notify(dev, i);
	return 0;
}

static void queue_stop(struct virtio_device *dev, unsigned queue)
{
	struct balloon *balloon = from_dev(dev);

	if (queue == balloon->state.reporting_queue)
		balloon->report.busy = false;
	if (queue == INFLATE_QUEUE)
		balloon->inflate.busy = false;
	if (queue != STATS_QUEUE)
		return;
	timer_stop(&balloon->stats_timer);
	balloon->stats_held = false;
	balloon->stats_asked = false;
}

/* 5.5.4: two fields are the driver's. */
static void config_write(struct virtio_device *dev, size_t offset,
			 const void *data, size_t size)
{
	static const size_t fields[] = {
		offsetof(struct virtio_balloon_config, actual),
		offsetof(struct virtio_balloon_config, poison_val),
	};
	uint8_t *config = (uint8_t *)&from_dev(dev)->state.config;

	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (offset == fields[i] && size == sizeof(__le32))
			memcpy(config + offset, data, size);
}

static const struct virtio_device_ops balloon_ops = {
	.device_id = VIRTIO_ID_BALLOON,
	.activate = activate,
	.notify = notify,
	.queue_stop = queue_stop,
	.config_write = config_write,
};

/* --- the host --- */

int virtio_balloon_set_target(struct virtio_device *dev, uint64_t bytes)
{
	struct balloon *balloon = from_dev(dev);

	if (bytes > guest_mem_size(dev->mem) ||
	    bytes >> PAGE_SHIFT > UINT32_MAX)
		return -EINVAL;
	pthread_mutex_lock(&dev->lock);
	balloon->state.config.num_pages =
		htole32((uint32_t)(bytes >> PAGE_SHIFT));
	if (virtio_device_up(dev))
		virtio_device_config_changed(dev);
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

void virtio_balloon_get_status(struct virtio_device *dev,
			       struct virtio_balloon_status *status)
{
	const struct balloon_state *state = &from_dev(dev)->state;

	pthread_mutex_lock(&dev->lock);
	status->target = (uint64_t)le32toh(state->config.num_pages)
			 << PAGE_SHIFT;
	status->actual = (uint64_t)le32toh(state->config.actual) << PAGE_SHIFT;
	status->stats = state->stats;
	pthread_mutex_unlock(&dev->lock);
}

/* Without page poison (5.5.6.6) a driver that clears what it frees would not
 * report it. */
static uint64_t offered(const struct virtio_balloon_options *options)
{
	uint64_t features = 1ULL << VIRTIO_BALLOON_F_DEFLATE_ON_OOM;

	if (options->stats_every)
		features |= 1ULL << VIRTIO_BALLOON_F_STATS_VQ;
	if (options->reporting)
		features |= 1ULL << VIRTIO_BALLOON_F_REPORTING |
			    1ULL << VIRTIO_BALLOON_F_PAGE_POISON;
	return features;
}

struct virtio_device *
virtio_balloon_create(const struct virtio_balloon_options *options,
		      const struct guest_mem *mem, struct event_loop *loop,
		      struct error *err)
{
	struct balloon *balloon = calloc(1, sizeof(*balloon));
	int ret;

	if (!balloon) {
		error_set(err, ERROR_IO, ENOMEM, "balloon");
		return NULL;
	}
	virtio_device_init(&balloon->dev, &balloon_ops, mem, loop,
			   offered(options), QUEUES, VIRTIO_BALLOON_QUEUE_SIZE);
	balloon->dev.config = &balloon->state.config;
	balloon->dev.config_size = sizeof(balloon->state.config);
	balloon->state.reporting_queue = QUEUES;
	balloon->discard = options->discard;
	balloon->ctx = options->ctx;
	balloon->stats_every = options->stats_every;
	balloon->stats_timer = TIMER_CLOSED;
	ret = virtio_balloon_set_target(&balloon->dev, options->target);
	if (ret == 0 && options->stats_every)
		ret = timer_open(&balloon->stats_timer, loop,
				 &balloon->dev.lock, ask_for_stats);
	if (ret == 0)
		return &balloon->dev;
	error_set(err, ERROR_IO, -ret, "balloon");
	virtio_balloon_destroy(&balloon->dev);
	return NULL;
}

void virtio_balloon_destroy(struct virtio_device *dev)
{
	if (!dev)
		return;
	timer_close(&from_dev(dev)->stats_timer);
	virtio_device_destroy(dev);
	free(from_dev(dev));
}
