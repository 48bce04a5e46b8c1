#include "devices/virtio_balloon.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "devices/virtio_balloon_device.h"

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

/* The driver gives one buffer at a time. If it gives more, the last one counts.
 */
static int stats_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct balloon *balloon = balloon_from_dev(dev);
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
	return BALLOON_CHAIN_COST;
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
	virtqueue_push(&dev->queues[BALLOON_STATS_QUEUE], balloon->stats_head,
		       0);
	virtio_device_interrupt(dev, BALLOON_STATS_QUEUE);
}

/* --- the driver --- */

static bool has_stats(const struct virtio_device *dev)
{
	return virtio_has_feature(dev, VIRTIO_BALLOON_F_STATS_VQ);
}

/* 5.5.2 gives each queue a fixed number. Linux counts only the queues that
 * exist by the features. The device understands both. */
static uint32_t find_reporting_queue(const struct virtio_device *dev)
{
	if (!virtio_has_feature(dev, VIRTIO_BALLOON_F_REPORTING))
		return BALLOON_QUEUES;
	if (dev->queues[BALLOON_REPORTING].state.ready)
		return BALLOON_REPORTING;
	return has_stats(dev) ? BALLOON_STATS_QUEUE + 1 : BALLOON_STATS_QUEUE;
}

static void notify(struct virtio_device *dev, unsigned queue)
{
	int (*next)(struct virtio_device * dev, struct virtqueue * vq);

	if (queue == balloon_from_dev(dev)->state.reporting_queue)
		next = balloon_report_next;
	else if (queue == BALLOON_INFLATE)
		next = balloon_inflate_next;
	else if (queue == BALLOON_DEFLATE)
		next = balloon_deflate_next;
	else if (queue == BALLOON_STATS_QUEUE && has_stats(dev))
		next = stats_next;
	else
		return;
	virtio_device_serve(dev, queue, BALLOON_TURN, next);
}

static void start_stats_timer(struct balloon *balloon)
{
	struct virtio_device *dev = &balloon->dev;

	if (has_stats(dev) && dev->queues[BALLOON_STATS_QUEUE].state.ready)
		timer_set_interval_s(&balloon->stats_timer,
				     balloon->stats_every);
}

static int activate(struct virtio_device *dev)
{
	struct balloon *balloon = balloon_from_dev(dev);

	balloon->state.config.actual = 0;
	balloon->state.stats = (struct balloon_stats){ 0 };
	balloon->state.reporting_queue = find_reporting_queue(dev);
	start_stats_timer(balloon);
	/* Linux gives the first statistics, and kicks, before DRIVER_OK: the
	 * device may not look at them then */
	for (unsigned i = 0; i < dev->queue_count; i++)
		if (dev->queues[i].state.ready)
			virtio_device_again(dev, i);
	return 0;
}

static void queue_stop(struct virtio_device *dev, unsigned queue)
{
	struct balloon *balloon = balloon_from_dev(dev);

	if (queue == balloon->state.reporting_queue)
		balloon->report.busy = false;
	if (queue == BALLOON_INFLATE)
		balloon->inflate.busy = false;
	if (queue != BALLOON_STATS_QUEUE)
		return;
	timer_stop(&balloon->stats_timer);
	balloon->stats_held = false;
	balloon->stats_asked = false;
}

static void quiesce(struct virtio_device *dev)
{
	struct balloon *balloon = balloon_from_dev(dev);
	struct virtqueue *queues = dev->queues;

	balloon_request_give_back(&balloon->inflate, &queues[BALLOON_INFLATE]);
	if (balloon->report.busy)
		balloon_request_give_back(
			&balloon->report,
			&queues[balloon->state.reporting_queue]);
	if (balloon->stats_held)
		virtqueue_unpop(&queues[BALLOON_STATS_QUEUE]);
	balloon->stats_held = false;
}

static int resume(struct virtio_device *dev)
{
	if (dev->loaded && virtio_device_up(dev))
		start_stats_timer(balloon_from_dev(dev));
	return 0;
}

static bool state_valid(struct virtio_device *dev, const void *state)
{
	const struct virtio_balloon_state *s = state;

	(void)dev;
	return s->reporting_queue >= BALLOON_STATS_QUEUE &&
	       s->reporting_queue <= BALLOON_QUEUES;
}

/* 5.5.4: the driver may write two fields. */
static void config_write(struct virtio_device *dev, size_t offset,
			 const void *data, size_t size)
{
	static const size_t fields[] = {
		offsetof(struct virtio_balloon_config, actual),
		offsetof(struct virtio_balloon_config, poison_val),
	};
	uint8_t *config = (uint8_t *)&balloon_from_dev(dev)->state.config;

	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (offset == fields[i] && size == sizeof(__le32))
			memcpy(config + offset, data, size);
}

static void destroy(struct virtio_device *dev)
{
	timer_close(&balloon_from_dev(dev)->stats_timer);
}

static const struct virtio_device_ops balloon_ops = {
	.name = "balloon",
	.device_id = VIRTIO_ID_BALLOON,
	.size = sizeof(struct balloon),
	.queue_size = VIRTIO_BALLOON_QUEUE_SIZE,
	.activate = activate,
	.notify = notify,
	.queue_stop = queue_stop,
	.quiesce = quiesce,
	.resume = resume,
	.state_valid = state_valid,
	.config_write = config_write,
	.destroy = destroy,
};

/* --- the host --- */

int virtio_balloon_set_target(struct virtio_device *dev, uint64_t bytes)
{
	struct balloon *balloon = balloon_from_dev(dev);

	if (bytes > guest_mem_size(dev->mem) ||
	    bytes >> PAGE_SHIFT > UINT32_MAX)
		return -EINVAL;
	pthread_mutex_lock(&dev->lock);
	balloon->state.config.num_pages =
		htole32((uint32_t)(bytes >> PAGE_SHIFT));
	virtio_device_config_changed(dev);
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

void virtio_balloon_get_status(struct virtio_device *dev,
			       struct virtio_balloon_status *status)
{
	const struct virtio_balloon_state *state =
		&balloon_from_dev(dev)->state;

	pthread_mutex_lock(&dev->lock);
	status->target = (uint64_t)le32toh(state->config.num_pages)
			 << PAGE_SHIFT;
	status->actual = (uint64_t)le32toh(state->config.actual) << PAGE_SHIFT;
	status->stats = state->stats;
	pthread_mutex_unlock(&dev->lock);
}

/* A driver that fills what it frees with a pattern reports nothing unless page
 * poison is offered (5.5.6.6). */
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
	struct virtio_device *dev = virtio_device_create(
		&balloon_ops, mem, loop, offered(options), BALLOON_QUEUES, err);
	struct balloon *balloon;
	int ret;

	if (!dev)
		return NULL;
	balloon = balloon_from_dev(dev);
	dev->config = &balloon->state.config;
	dev->config_size = sizeof(balloon->state.config);
	dev->state = &balloon->state;
	dev->state_size = sizeof(balloon->state);
	balloon->state.reporting_queue = BALLOON_QUEUES;
	balloon->discard = options->discard;
	balloon->ctx = options->ctx;
	balloon->stats_every = options->stats_every;
	balloon->stats_timer = TIMER_CLOSED;
	ret = virtio_balloon_set_target(dev, options->target);
	if (ret == 0 && options->stats_every)
		ret = timer_open(&balloon->stats_timer, loop, &dev->lock,
				 ask_for_stats);
	if (ret == 0)
		return dev;
	error_set(err, ERROR_IO, -ret, "balloon");
	virtio_device_destroy(dev);
	return NULL;
}
