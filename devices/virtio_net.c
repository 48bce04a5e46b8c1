#include "devices/virtio_net.h"

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
#include "devices/net_rx_window.h"

#define FRAME_MAX (NET_HEADER + NET_FRAME_MAX)
#define FRAME_MIN (NET_HEADER + NET_FRAME_MIN)
#define VLAN_TAG 4

#define TURN_FRAMES 64 /* each way, before other devices have a turn */

#define BIT(feature) (1ULL << (feature))

/* Beside what the back end can do. */
#define OFFERED                                             \
	(BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | \
	 BIT(VIRTIO_NET_F_MRG_RXBUF))

#define GUEST_SEGMENTATION \
	(BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6))
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

struct virtio_net {
	struct virtio_device dev;
	struct virtio_net_config config;
	uint16_t mtu;	   /* 0: not known */
	uint64_t offloads; /* VIRTIO_NET_F_GUEST_* that are on */
	bool plugged;	   /* virtio_net_set_link() */
	bool lost;	   /* a back end is gone, which has been said */
	struct net_pair pair;
};

static struct virtio_net *from_dev(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_net, dev);
}

static struct virtqueue *rx_queue(struct net_pair *pair)
{
	return &pair->net->dev.queues[2 * pair->index + VIRTIO_NET_RX];
}

static bool link_is_up(const struct virtio_net *net)
{
	return net->plugged && !net->lost;
}

/* --- receive --- */

/* The longest frame that is to be expected; without segmentation offload it
 * has one packet, and 1500 is what a tap starts with. */
static size_t rx_longest(const struct virtio_net *net)
{
	uint16_t mtu = net->mtu ? net->mtu : ETH_DATA_LEN;

	if (net->offloads & GUEST_SEGMENTATION)
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

	if (!rx->count || !link_is_up(pair->net))
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
		if (!rx_fetch(pair) || !rx_frame(pair))
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

	if (len < FRAME_MIN || len > FRAME_MAX || !link_is_up(pair->net))
		return true;
	return pair->backend->ops->send(pair->backend, chain->iov,
					chain->out_count);
}

static int tx_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct net_pair *pair = &from_dev(dev)->pair;
	struct chain chain;
	int ret = virtqueue_pop(vq, &chain);

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
	/* no descriptor tells of a frame that was fetched already */
	if (rx_ready(pair) &&
	    !(backend->next &&
	      virtio_device_again(dev, 2 * pair->index + VIRTIO_NET_RX)))
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
	le16_t status = le16(link_is_up(net) ? VIRTIO_NET_S_LINK_UP : 0);

	if (memcmp(&net->config.status, &status, sizeof(status)) == 0)
		return;
	memcpy(&net->config.status, &status, sizeof(status));
	if (net->dev.status & VIRTIO_CONFIG_S_DRIVER_OK)
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
	/* nothing will be writable any more; what waits for that is lost */
	if (pair->backend->gone && pair->tx_blocked) {
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

	net->plugged = up;
	update_link(net);
	settle(&net->pair);
}

/* --- the driver --- */

static void notify(struct virtio_device *dev, unsigned queue)
{
	struct net_pair *pair = &from_dev(dev)->pair;

	if (queue == VIRTIO_NET_RX) {
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
	struct net_backend *backend = net->pair.backend;
	int ret;

	net->offloads = dev->driver_features & GUEST_OFFLOADS;
	/* 5.1.3.1: the others depend on it */
	if (!virtio_has_feature(dev, VIRTIO_NET_F_GUEST_CSUM))
		net->offloads = 0;
	if (backend->ops->set_offloads) {
		ret = backend->ops->set_offloads(backend, net->offloads);
		if (ret)
			return ret;
	}
	/* 3.1.1: buffers may be there already, with no kick to come */
	if (rx_queue(&net->pair)->state.ready && rx_fill(&net->pair))
		return -EPROTO;
	settle(&net->pair);
	return 0;
}

static void queue_stop(struct virtio_device *dev, unsigned queue)
{
	struct net_pair *pair = &from_dev(dev)->pair;

	if (queue == VIRTIO_NET_RX) {
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

static void init_pair(struct virtio_net *net, struct net_backend *backend)
{
	struct net_pair *pair = &net->pair;

	pair->net = net;
	pair->backend = backend;
	pair->source = (struct event_source){
		.fd = backend->fd,
		.ready = backend_ready,
		.lock = &net->dev.lock,
	};
	net->lost |= backend->gone;
}

struct virtio_device *
virtio_net_create(const struct virtio_net_options *options,
		  const struct guest_mem *mem, struct event_loop *loop,
		  struct error *err)
{
	struct virtio_net *net = calloc(1, sizeof(*net));
	uint64_t features = OFFERED | options->backend->features;
	le16_t mtu = le16(options->mtu);

	if (!net) {
		error_set(err, ERROR_IO, ENOMEM, "virtio-net");
		return NULL;
	}
	if (options->mtu)
		features |= BIT(VIRTIO_NET_F_MTU);
	virtio_device_init(&net->dev, &net_ops, mem, loop, features, 2,
			   VIRTIO_NET_QUEUE_SIZE);
	net->mtu = options->mtu;
	net->plugged = true;
	init_pair(net, options->backend);
	memcpy(net->config.mac, options->mac, sizeof(net->config.mac));
	memcpy(&net->config.mtu, &mtu, sizeof(mtu));
	update_link(net);
	net->dev.config = &net->config;
	net->dev.config_size = sizeof(net->config);
	return &net->dev;
}

void virtio_net_destroy(struct virtio_device *dev)
{
	if (!dev)
		return;
	event_loop_remove(dev->loop, &from_dev(dev)->pair.source);
	virtio_device_destroy(dev);
	free(from_dev(dev));
}
