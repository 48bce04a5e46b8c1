#include "devices/net/virtio_net.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/iov.h"
#include "base/le_types.h"
#include "base/log.h"
#include "devices/net/net_config.h"
#include "devices/net/net_control.h"
#include "devices/net/net_rx_window.h"

#define FRAME_MAX (NET_HEADER + NET_FRAME_MAX)
#define FRAME_MIN (NET_HEADER + NET_FRAME_MIN)
#define VLAN_TAG 4

#define TURN_FRAMES 64 /* each way, before other devices have a turn */
#define TURN_COMMANDS 8

#define BIT(feature) (1ULL << (feature))

/* Beside what the back end can do. */
#define OFFERED                                                  \
	(BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) | \
	 BIT(VIRTIO_NET_F_MRG_RXBUF))

#define GUEST_SEGMENTATION                                             \
	(BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) | \
	 BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6))
#define GUEST_OFFLOADS (BIT(VIRTIO_NET_F_GUEST_CSUM) | GUEST_SEGMENTATION)

/* A receive and a transmit queue, and what stands behind them. */
struct net_pair {
	struct virtio_net *net;
	unsigned index;
	struct net_backend *backend;
	struct event_source source; /* active while something is waited for */
	uint32_t events;	    /* which */
	bool tx_blocked;   /* the back end is full; wait for EPOLLOUT */
	unsigned rx_given; /* most buffers in rx since the last kick */
	struct net_rx_window rx;
};

/* What a snapshot keeps besides the device, its queues and its options. */
struct virtio_net_state {
	uint64_t offloads;   /* VIRTIO_NET_F_GUEST_* that are on */
	uint16_t pairs_used; /* the first so many; the others get no frames */
	uint16_t plugged;    /* virtio_net_set_link() */
	uint16_t pad[2];
};

struct virtio_net {
	struct virtio_device dev;
	struct virtio_net_config config;
	struct virtio_net_state state;
	uint16_t mtu; /* 0: not known */
	bool lost;    /* a back end is gone, which has been said */
	struct rate_limiter rx_limiter, tx_limiter;
	unsigned rx_last, tx_last; /* pairs whose frame was the last to pass */
	unsigned pair_count;
	struct net_pair pairs[];
};

static struct virtio_net *from_dev(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_net, dev);
}

static struct virtqueue *rx_queue(struct net_pair *pair)
{
	return &pair->net->dev.queues[2 * pair->index + VIRTIO_NET_RX];
}

static struct net_pair *pair_of(struct virtio_net *net, unsigned queue)
{
	return &net->pairs[queue / 2];
}

/* 5.1.2: it comes behind all pairs that the driver knows of. */
static unsigned control_queue(const struct virtio_net *net)
{
	bool all = virtio_has_feature(&net->dev, VIRTIO_NET_F_MQ);

	return 2 * (all ? net->pair_count : 1);
}

/* Pairs that the driver knows of. */
static unsigned known_pairs(const struct virtio_net *net)
{
	return control_queue(net) / 2;
}

static bool link_is_up(const struct virtio_net *net)
{
	return net->state.plugged && !net->lost;
}

static bool has_frames(const struct net_pair *pair)
{
	return link_is_up(pair->net) &&
	       pair->index < pair->net->state.pairs_used;
}

static bool may_pass(struct rate_limiter *limiter)
{
	return !limiter->enabled || rate_limiter_may(limiter);
}

static void has_passed(struct rate_limiter *limiter, size_t len)
{
	if (limiter->enabled)
		rate_limiter_take(limiter, len - NET_HEADER, 1);
}

/* --- receive --- */

/* The longest frame that is to be expected; without segmentation offload it
 * has one packet, and 1500 is what a tap starts with. */
static size_t rx_longest(const struct virtio_net *net)
{
	uint16_t mtu = net->mtu ? net->mtu : ETH_DATA_LEN;

	if (net->state.offloads & GUEST_SEGMENTATION)
		return FRAME_MAX;
	return NET_HEADER + ETH_HLEN + VLAN_TAG + mtu;
}

/* Room for the next frame, as far as that can be told. */
static size_t rx_need(const struct net_pair *pair)
{
	if (pair->backend->next)
		return pair->backend->next;
	return pair->backend->ops->fetch ? 0 : rx_longest(pair->net);
}

/* Whether a frame may be received. If there is no room for it, a driver that
 * still has half of what it last gave is not about to give more: what does not
 * fit then is dropped. */
static bool rx_ready(const struct net_pair *pair)
{
	const struct net_rx_window *rx = &pair->rx;

	if (!rx->count || !has_frames(pair) || pair->net->rx_limiter.waiting)
		return false;
	return rx->capacity >= rx_need(pair) || rx->full ||
	       2 * rx->count >= pair->rx_given;
}

static bool rx_fetch(struct net_pair *pair)
{
	struct net_backend *backend = pair->backend;

	if (!rx_ready(pair))
		return false;
	if (!backend->ops->fetch || backend->next)
		return true;
	return backend->ops->fetch(backend) && rx_ready(pair);
}

static int rx_fill(struct net_pair *pair)
{
	bool merge =
		virtio_has_feature(&pair->net->dev, VIRTIO_NET_F_MRG_RXBUF);
	int ret = net_rx_window_fill(&pair->rx, rx_queue(pair),
				     merge ? FRAME_MAX : 0);

	if (pair->rx.count > pair->rx_given)
		pair->rx_given = pair->rx.count;
	return ret;
}

/* Without mergeable buffers a frame has only the first buffer. */
static unsigned rx_iov_count(const struct net_pair *pair, size_t *capacity)
{
	const struct net_rx_window *rx = &pair->rx;

	if (virtio_has_feature(&pair->net->dev, VIRTIO_NET_F_MRG_RXBUF)) {
		*capacity = rx->capacity;
		return rx->iov_count;
	}
	*capacity = rx->buffers[0].bytes;
	return rx->buffers[0].iov_count;
}

/* Receives one frame into the window; false when there is none. */
static bool rx_frame(struct net_pair *pair)
{
	struct net_backend *backend = pair->backend;
	struct net_rx_window *rx = &pair->rx;
	size_t capacity;
	unsigned count = rx_iov_count(pair, &capacity);
	ssize_t len = backend->ops->receive(backend, rx->iov, count, capacity);

	if (len < 0)
		return false;
	if ((size_t)len >= FRAME_MIN) {
		has_passed(&pair->net->rx_limiter, (size_t)len);
		pair->net->rx_last = pair->index;
	}
	if ((size_t)len > capacity)
		log_guest(LOG_INFO,
			  "net: dropped a frame that is longer than "
			  "the driver's receive buffers");
	else if ((size_t)len >= FRAME_MIN)
		net_rx_window_use(rx, rx_queue(pair), (size_t)len);
	return true;
}

static void rx_serve(struct net_pair *pair)
{
	struct virtio_device *dev = &pair->net->dev;
	unsigned turn = TURN_FRAMES;
	int ret;

	if (!rx_queue(pair)->state.ready)
		return;
	while ((ret = rx_fill(pair)) == 0 && turn-- > 0)
		if (!may_pass(&pair->net->rx_limiter) || !rx_fetch(pair) ||
		    !rx_frame(pair))
			break;
	if (ret)
		virtio_device_broken(dev, "bad receive ring or buffer");
	virtio_device_interrupt(dev, 2 * pair->index + VIRTIO_NET_RX);
}

/* --- transmit --- */

/* Sends the readable part of a chain; false when that has to wait. */
static bool tx_frame(struct net_pair *pair, const struct chain *chain)
{
	size_t len = iov_length(chain->iov, chain->out_count);

	if (len < FRAME_MIN || len > FRAME_MAX || !has_frames(pair))
		return true;
	if (!pair->backend->ops->send(pair->backend, chain->iov,
				      chain->out_count))
		return false;
	has_passed(&pair->net->tx_limiter, len);
	pair->net->tx_last = pair->index;
	return true;
}

static int tx_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct net_pair *pair =
		pair_of(from_dev(dev), (unsigned)(vq - dev->queues));
	struct chain chain;
	int ret;

	if (!may_pass(&pair->net->tx_limiter))
		return -EAGAIN;
	ret = virtqueue_pop(vq, &chain);
	if (ret <= 0)
		return ret;
	if (!tx_frame(pair, &chain)) {
		virtqueue_unpop(vq);
		pair->tx_blocked = true;
		return -EAGAIN;
	}
	virtqueue_push(vq, chain.head, 0);
	return 1;
}

static void tx_serve(struct net_pair *pair)
{
	if (!pair->tx_blocked)
		virtio_device_serve(&pair->net->dev,
				    2 * pair->index + VIRTIO_NET_TX,
				    TURN_FRAMES, tx_next);
}

/* --- the back end --- */

static uint32_t events_wanted(struct net_pair *pair)
{
	struct virtio_device *dev = &pair->net->dev;
	const struct net_backend *backend = pair->backend;
	uint32_t events = 0;

	if (backend->gone)
		return 0;
	/* a reset in the midst of a frame leaves the rest of it to be sent */
	if (backend->unsent)
		events |= EPOLLOUT;
	if (!virtio_device_up(dev))
		return events;
	if (pair->tx_blocked)
		events |= EPOLLOUT;
	if (!rx_ready(pair))
		return events;
	/* no descriptor tells of a frame that was fetched already */
	if (backend->next)
		virtio_device_again(dev, 2 * pair->index + VIRTIO_NET_RX);
	else
		events |= EPOLLIN;
	return events;
}

/* Waits for what there is to wait for, and for nothing else: a back end that
 * is readable must not wake the loop while there are no buffers. */
static void watch(struct net_pair *pair)
{
	struct event_loop *loop = pair->net->dev.loop;
	uint32_t events = events_wanted(pair);
	int ret = 0;

	if (events == pair->events)
		return;
	if (!events)
		event_loop_remove(loop, &pair->source);
	else if (pair->events)
		ret = event_loop_modify(loop, &pair->source, events);
	else
		ret = event_loop_add(loop, &pair->source, events);
	if (ret)
		log_guest(LOG_ERROR, "net: %s", strerror(-ret));
	else
		pair->events = events;
}

static void update_link(struct virtio_net *net)
{
	if (net_config_set_link(&net->config, link_is_up(net)))
		virtio_device_config_changed(&net->dev);
}

/* The end of every call that may have changed what a pair waits for. */
static void settle(struct net_pair *pair)
{
	struct virtio_net *net = pair->net;

	if (pair->backend->gone && !net->lost) {
		net->lost = true;
		log_guest(LOG_ERROR, "net: %s is gone, and the link down",
			  pair->backend->name);
		update_link(net);
	}
	/* what waits for room is lost with what would come then */
	if (pair->tx_blocked && !has_frames(pair) &&
	    virtio_device_up(&net->dev)) {
		pair->tx_blocked = false;
		tx_serve(pair);
	}
	watch(pair);
}

static void backend_ready(struct event_source *source, uint32_t events)
{
	struct net_pair *pair = container_of(source, struct net_pair, source);
	struct net_backend *backend = pair->backend;

	if (events & EPOLLOUT) {
		if (backend->unsent)
			backend->ops->flush(backend);
		if (!backend->unsent && pair->tx_blocked) {
			pair->tx_blocked = false;
			tx_serve(pair);
		}
	}
	if (events & EPOLLIN)
		rx_serve(pair);
	/* somebody deleted the interface or ended the program */
	if (events & (EPOLLERR | EPOLLHUP))
		backend->gone = true;
	settle(pair);
}

void virtio_net_set_link(struct virtio_device *dev, bool up)
{
	struct virtio_net *net = from_dev(dev);

	net->state.plugged = up;
	update_link(net);
	for (unsigned i = 0; i < net->pair_count; i++)
		settle(&net->pairs[i]);
}

/* --- limits --- */

/* Pairs have their turns in a circle: the one whose frame was the last to pass
 * comes last, so that none lives off the others. */
static unsigned in_turn(const struct virtio_net *net, unsigned last, unsigned i)
{
	return (last + 1 + i) % known_pairs(net);
}

static void rx_limit_is_over(struct rate_limiter *limiter)
{
	struct virtio_net *net =
		container_of(limiter, struct virtio_net, rx_limiter);
	unsigned last = net->rx_last;

	for (unsigned i = 0; i < known_pairs(net); i++) {
		struct net_pair *pair = &net->pairs[in_turn(net, last, i)];

		if (virtio_device_up(&net->dev))
			rx_serve(pair);
		settle(pair);
	}
}

static void tx_limit_is_over(struct rate_limiter *limiter)
{
	struct virtio_net *net =
		container_of(limiter, struct virtio_net, tx_limiter);
	unsigned last = net->tx_last;

	for (unsigned i = 0; i < known_pairs(net); i++)
		virtio_device_notify(&net->dev,
				     2 * in_turn(net, last, i) + VIRTIO_NET_TX);
}

/* --- control --- */

/* False when one of them cannot be had. */
static bool use_pairs(struct virtio_net *net, unsigned pairs)
{
	net->state.pairs_used = (uint16_t)pairs;
	for (unsigned i = 1; i < net->pair_count; i++) {
		struct net_backend *backend = net->pairs[i].backend;
		bool active = i < pairs;

		/* what gets no frames any more must not be waited on */
		if (!active)
			settle(&net->pairs[i]);
		if (backend->ops->set_active &&
		    backend->ops->set_active(backend, active) && active)
			return false;
		settle(&net->pairs[i]);
	}
	return true;
}

static bool set_pairs(struct virtio_device *dev, uint16_t pairs)
{
	struct virtio_net *net = from_dev(dev);
	unsigned before = net->state.pairs_used;

	if (!pairs || pairs > net->pair_count)
		return false;
	if (use_pairs(net, pairs))
		return true;
	use_pairs(net, before);
	return false;
}

static bool set_offloads(struct virtio_device *dev, uint64_t offloads)
{
	struct virtio_net *net = from_dev(dev);
	struct net_backend *backend = net->pairs[0].backend;

	/* 5.1.6.5.6.2: of those that were negotiated */
	if (offloads & ~(dev->driver_features & GUEST_OFFLOADS))
		return false;
	/* 5.1.3.1: the others depend on it */
	if (!(offloads & BIT(VIRTIO_NET_F_GUEST_CSUM)))
		offloads = 0;
	if (backend->ops->set_offloads &&
	    backend->ops->set_offloads(backend, offloads))
		return false;
	net->state.offloads = offloads;
	for (unsigned i = 0; i < net->pair_count; i++)
		settle(&net->pairs[i]);
	return true;
}

static const struct net_control_ops control_ops = {
	.set_pairs = set_pairs,
	.set_offloads = set_offloads,
};

static int control_next(struct virtio_device *dev, struct virtqueue *vq)
{
	return net_control_next(dev, vq, &control_ops);
}

/* --- the driver --- */

static void notify(struct virtio_device *dev, unsigned queue)
{
	struct virtio_net *net = from_dev(dev);
	struct net_pair *pair = pair_of(net, queue);

	if (queue >= control_queue(net)) {
		if (queue == control_queue(net) &&
		    virtio_has_feature(dev, VIRTIO_NET_F_CTRL_VQ))
			virtio_device_serve(dev, queue, TURN_COMMANDS,
					    control_next);
		return;
	}
	if (queue % 2 == VIRTIO_NET_RX) {
		pair->rx_given = 0;
		rx_serve(pair);
	} else {
		tx_serve(pair);
	}
	settle(pair);
}

static int activate(struct virtio_device *dev)
{
	struct virtio_net *net = from_dev(dev);

	/* 5.1.6.5.5: one pair, until the driver asks for more */
	use_pairs(net, 1);
	if (!set_offloads(dev, dev->driver_features & GUEST_OFFLOADS))
		return -EIO;
	/* 3.1.1: buffers may be there already, with no kick to come */
	for (unsigned i = 0; 2 * i < control_queue(net); i++) {
		struct net_pair *pair = &net->pairs[i];

		if (rx_queue(pair)->state.ready && rx_fill(pair))
			return -EPROTO;
		settle(pair);
	}
	return 0;
}

static void queue_stop(struct virtio_device *dev, unsigned queue)
{
	struct virtio_net *net = from_dev(dev);
	struct net_pair *pair = pair_of(net, queue);

	if (queue >= 2 * net->pair_count)
		return;
	if (queue % 2 == VIRTIO_NET_RX) {
		net_rx_window_clear(&pair->rx);
		pair->rx_given = 0;
	} else {
		pair->tx_blocked = false;
	}
	settle(pair);
}

static const struct virtio_device_ops net_ops = {
	.device_id = VIRTIO_ID_NET,
	.activate = activate,
	.notify = notify,
	.queue_stop = queue_stop,
};

static void init_pair(struct virtio_net *net, unsigned index,
		      struct net_backend *backend)
{
	struct net_pair *pair = &net->pairs[index];

	pair->net = net;
	pair->index = index;
	pair->backend = backend;
	pair->source = (struct event_source){
		.fd = backend->fd,
		.ready = backend_ready,
		.lock = &net->dev.lock,
	};
	net->lost |= backend->gone;
}

static uint64_t features_of(const struct virtio_net_options *options)
{
	uint64_t features = OFFERED | options->backends[0]->features;

	if (features & BIT(VIRTIO_NET_F_GUEST_CSUM))
		features |= BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	if (options->pairs > 1)
		features |= BIT(VIRTIO_NET_F_MQ);
	return features | net_config_features(options->mtu);
}

static void init_config(struct virtio_net *net,
			const struct virtio_net_options *options)
{
	le16_t pairs = le16((uint16_t)options->pairs);

	net_config_set(&net->config, options->mac, options->mtu);
	memcpy(&net->config.max_virtqueue_pairs, &pairs, sizeof(pairs));
	update_link(net);
	net->dev.config = &net->config;
	net->dev.config_size = sizeof(net->config);
}

struct virtio_device *
virtio_net_create(const struct virtio_net_options *options,
		  const struct guest_mem *mem, struct event_loop *loop,
		  struct error *err)
{
	struct virtio_net *net = calloc(
		1, sizeof(*net) + options->pairs * sizeof(net->pairs[0]));
	int ret, rx, tx;

	if (!net) {
		error_set(err, ERROR_IO, ENOMEM, "virtio-net");
		return NULL;
	}
	ret = virtio_device_init(&net->dev, &net_ops, mem, loop,
				 features_of(options), 2 * options->pairs + 1,
				 VIRTIO_NET_QUEUE_SIZE);
	rx = rate_limiter_init(&net->rx_limiter, &options->rx_limits, loop,
			       &net->dev.lock, rx_limit_is_over);
	tx = rate_limiter_init(&net->tx_limiter, &options->tx_limits, loop,
			       &net->dev.lock, tx_limit_is_over);
	if (ret == 0)
		ret = rx ? rx : tx;
	if (ret) {
		error_set(err, ERROR_IO, -ret, "virtio-net");
		virtio_net_destroy(&net->dev);
		return NULL;
	}
	net->mtu = options->mtu;
	net->state.plugged = true;
	net->pair_count = options->pairs;
	net->state.pairs_used = 1;
	for (unsigned i = 0; i < options->pairs; i++)
		init_pair(net, i, options->backends[i]);
	init_config(net, options);
	return &net->dev;
}

void virtio_net_destroy(struct virtio_device *dev)
{
	struct virtio_net *net;

	if (!dev)
		return;
	net = from_dev(dev);
	for (unsigned i = 0; i < net->pair_count; i++)
		event_loop_remove(dev->loop, &net->pairs[i].source);
	rate_limiter_destroy(&net->rx_limiter);
	rate_limiter_destroy(&net->tx_limiter);
	virtio_device_destroy(dev);
	free(net);
}
