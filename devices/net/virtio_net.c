#include "devices/net/virtio_net.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "base/le_types.h"
#include "devices/net/virtio_net_device.h"

#define TURN_COMMANDS 8 /* before other devices have a turn */

/* Features that every card offers, beside those of its back end. */
#define OFFERED                                                          \
	(NET_BIT(VIRTIO_NET_F_CTRL_VQ) | NET_BIT(VIRTIO_NET_F_CTRL_RX) | \
	 NET_BIT(VIRTIO_NET_F_MRG_RXBUF))

#define GUEST_OFFLOADS \
	(NET_BIT(VIRTIO_NET_F_GUEST_CSUM) | NET_GUEST_SEGMENTATION)

/* The number of the control queue: it follows the queues of all pairs that the
 * driver knows of (5.1.2). */
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

/* --- link --- */

void net_update_link(struct virtio_net *net)
{
	if (net_config_set_link(&net->config, net_link_is_up(net)))
		virtio_device_config_changed(&net->dev);
}

void virtio_net_set_link(struct virtio_device *dev, bool up)
{
	struct virtio_net *net = net_from_dev(dev);

	net->state.plugged = up;
	net_update_link(net);
	for (unsigned i = 0; i < net->pair_count; i++)
		net_pair_settle(&net->pairs[i]);
}

/* --- limits --- */

/* The pair that has the i-th turn. Pairs take turns in a circle: the one whose
 * frame passed last comes last, so that no pair starves another. */
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

		net_rx_serve(pair);
		net_pair_settle(pair);
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

/* Makes the first so many pairs active. False if a back end refuses. */
static bool use_pairs(struct virtio_net *net, unsigned pairs)
{
	net->state.pairs_used = (uint16_t)pairs;
	for (unsigned i = 1; i < net->pair_count; i++) {
		struct net_backend *backend = net->pairs[i].backend;
		bool active = i < pairs;

		/* stop waiting for a back end before it gets no more frames */
		if (!active)
			net_pair_settle(&net->pairs[i]);
		if (backend->ops->set_active &&
		    backend->ops->set_active(backend, active) && active)
			return false;
		net_pair_settle(&net->pairs[i]);
	}
	return true;
}

bool net_set_pairs(struct virtio_net *net, uint16_t pairs)
{
	unsigned before = net->state.pairs_used;

	if (!pairs || pairs > net->pair_count)
		return false;
	if (use_pairs(net, pairs))
		return true;
	use_pairs(net, before);
	return false;
}

bool net_set_offloads(struct virtio_net *net, uint64_t offloads)
{
	struct net_backend *backend = net->pairs[0].backend;

	/* 5.1.6.5.6.2: only those that were negotiated */
	if (offloads & ~(net->dev.driver_features & GUEST_OFFLOADS))
		return false;
	/* 5.1.3.1: the others depend on GUEST_CSUM */
	if (!(offloads & NET_BIT(VIRTIO_NET_F_GUEST_CSUM)))
		offloads = 0;
	if (backend->ops->set_offloads &&
	    backend->ops->set_offloads(backend, offloads))
		return false;
	net->state.offloads = offloads;
	for (unsigned i = 0; i < net->pair_count; i++)
		net_pair_settle(&net->pairs[i]);
	return true;
}

/* --- the driver --- */

static void notify(struct virtio_device *dev, unsigned queue)
{
	struct virtio_net *net = net_from_dev(dev);
	struct net_pair *pair = &net->pairs[queue / 2];

	if (queue >= control_queue(net)) {
		if (queue == control_queue(net) &&
		    virtio_has_feature(dev, VIRTIO_NET_F_CTRL_VQ))
			virtio_device_serve(dev, queue, TURN_COMMANDS,
					    net_control_next);
		return;
	}
	if (queue % 2 == VIRTIO_NET_RX) {
		pair->rx_given = 0;
		net_rx_serve(pair);
	} else {
		net_tx_serve(pair);
	}
	net_pair_settle(pair);
}

/* Sets the back ends as the state says, and pops receive buffers: some may be
 * there already, for which no kick will come (3.1.1). */
static int start(struct virtio_net *net)
{
	if (net->state.pairs_used > known_pairs(net) ||
	    !use_pairs(net, net->state.pairs_used) ||
	    !net_set_offloads(net, net->state.offloads))
		return -EIO;
	for (unsigned i = 0; i < known_pairs(net); i++) {
		struct net_pair *pair = &net->pairs[i];

		if (net_rx_queue(pair)->state.ready && net_rx_fill(pair))
			return -EPROTO;
		net_pair_settle(pair);
	}
	return 0;
}

static int activate(struct virtio_device *dev)
{
	struct virtio_net *net = net_from_dev(dev);

	/* 5.1.6.5.5: the driver uses one pair until it asks for more */
	net->state.pairs_used = 1;
	net->state.offloads = dev->driver_features & GUEST_OFFLOADS;
	return start(net);
}

static void queue_stop(struct virtio_device *dev, unsigned queue)
{
	struct virtio_net *net = net_from_dev(dev);
	struct net_pair *pair = &net->pairs[queue / 2];

	if (queue >= 2 * net->pair_count)
		return;
	if (queue % 2 == VIRTIO_NET_RX) {
		net_rx_window_clear(&pair->rx);
		pair->rx_given = 0;
	} else {
		pair->tx_blocked = false;
	}
	net_pair_settle(pair);
}

static void quiesce(struct virtio_device *dev)
{
	struct virtio_net *net = net_from_dev(dev);

	for (unsigned i = 0; i < net->pair_count; i++) {
		struct net_pair *pair = &net->pairs[i];

		net_rx_window_give_back(&pair->rx, net_rx_queue(pair));
		pair->rx_given = 0;
		net_pair_settle(pair);
	}
}

static int resume(struct virtio_device *dev)
{
	struct virtio_net *net = net_from_dev(dev);

	net_update_link(net);
	return virtio_device_up(dev) ? start(net) : 0;
}

static bool state_valid(struct virtio_device *dev, const void *state)
{
	const struct virtio_net_state *s = state;

	return s->pairs_used && s->pairs_used <= net_from_dev(dev)->pair_count;
}

static void destroy(struct virtio_device *dev)
{
	struct virtio_net *net = net_from_dev(dev);

	for (unsigned i = 0; i < net->pair_count; i++)
		event_loop_remove(dev->loop, &net->pairs[i].source);
	rate_limiter_destroy(&net->rx_limiter);
	rate_limiter_destroy(&net->tx_limiter);
}

static const struct virtio_device_ops net_ops = {
	.name = "virtio-net",
	.device_id = VIRTIO_ID_NET,
	.size = sizeof(struct virtio_net),
	.queue_size = VIRTIO_NET_QUEUE_SIZE,
	.activate = activate,
	.notify = notify,
	.queue_stop = queue_stop,
	.quiesce = quiesce,
	.resume = resume,
	.state_valid = state_valid,
	.destroy = destroy,
};

/* --- life --- */

static uint64_t features_of(const struct virtio_net_options *options)
{
	uint64_t features = OFFERED | options->backends[0]->features;

	if (features & NET_BIT(VIRTIO_NET_F_GUEST_CSUM))
		features |= NET_BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	if (options->pairs > 1)
		features |= NET_BIT(VIRTIO_NET_F_MQ);
	return features | net_config_features(options->mtu);
}

static void init_config(struct virtio_net *net,
			const struct virtio_net_options *options)
{
	le16_t pairs = le16((uint16_t)options->pairs);

	net_config_set(&net->config, options->mac, options->mtu);
	memcpy(&net->config.max_virtqueue_pairs, &pairs, sizeof(pairs));
	net_update_link(net);
	net->dev.config = &net->config;
	net->dev.config_size = sizeof(net->config);
	net->dev.state = &net->state;
	net->dev.state_size = sizeof(net->state);
}

struct virtio_device *
virtio_net_create(const struct virtio_net_options *options,
		  const struct guest_mem *mem, struct event_loop *loop,
		  struct error *err)
{
	struct virtio_device *dev =
		virtio_device_create(&net_ops, mem, loop, features_of(options),
				     2 * options->pairs + 1, err);
	struct virtio_net *net;
	int rx, tx;

	if (!dev)
		return NULL;
	net = net_from_dev(dev);
	net->mtu = options->mtu;
	net->state.plugged = true;
	net->pair_count = options->pairs;
	net->state.pairs_used = 1;
	for (unsigned i = 0; i < options->pairs; i++)
		net_pair_init(net, i, options->backends[i]);
	init_config(net, options);
	rx = rate_limiter_init(&net->rx_limiter, &options->rx_limits, loop,
			       &dev->lock, rx_limit_is_over);
	tx = rate_limiter_init(&net->tx_limiter, &options->tx_limits, loop,
			       &dev->lock, tx_limit_is_over);
	if (rx == 0 && tx == 0)
		return dev;
	error_set(err, ERROR_IO, rx ? -rx : -tx, "virtio-net");
	virtio_device_destroy(dev);
	return NULL;
}
