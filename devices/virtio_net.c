#include "devices/virtio_net.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/iov.h"
#include "base/le_types.h"
#include "base/log.h"
#include "devices/net_rx_window.h"

#define HEADER sizeof(struct virtio_net_hdr_v1)

/* The longest frame either way: an IP packet of 64 KiB as segmentation
 * offload makes them, with VLAN tag and header (5.1.6.3.1: 65562 and a tag). */
#define VLAN_TAG 4
#define FRAME_MAX (HEADER + 65535 + ETH_HLEN + VLAN_TAG)
#define FRAME_MIN (HEADER + ETH_HLEN)

#define TURN_FRAMES 64 /* each way, before other devices have a turn */

#define OFFERED                                                              \
	(1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_STATUS |            \
	 1ULL << VIRTIO_NET_F_MRG_RXBUF | 1ULL << VIRTIO_NET_F_CSUM |        \
	 1ULL << VIRTIO_NET_F_HOST_TSO4 | 1ULL << VIRTIO_NET_F_HOST_TSO6 |   \
	 1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_TSO4 | \
	 1ULL << VIRTIO_NET_F_GUEST_TSO6)

struct virtio_net {
	struct virtio_device dev;
	struct virtio_net_config config;
	uint16_t mtu; /* 0: not known */
	struct event_source
		tap; /* active while there is something to wait for */
	uint32_t tap_events;
	bool tx_blocked; /* the tap is full; wait for EPOLLOUT */
	struct net_rx_window rx;
	unsigned rx_given; /* most buffers in it since the last kick */
};

static struct virtio_net *from_dev(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_net, dev);
}

/* --- receive --- */

/* What the driver can take beyond plain frames. */
static unsigned offload_flags(const struct virtio_device *dev)
{
	unsigned flags = 0;

	/* 5.1.3.1: the others depend on it, and the tap insists */
	if (!virtio_has_feature(dev, VIRTIO_NET_F_GUEST_CSUM))
		return 0;
	flags |= TUN_F_CSUM;
	if (virtio_has_feature(dev, VIRTIO_NET_F_GUEST_TSO4))
		flags |= TUN_F_TSO4;
	if (virtio_has_feature(dev, VIRTIO_NET_F_GUEST_TSO6))
		flags |= TUN_F_TSO6;
	return flags;
}

/* The longest frame that is to be expected; without segmentation offload it
 * has one packet, and 1500 is what a tap starts with. */
static size_t rx_longest(const struct virtio_net *net)
{
	uint16_t mtu = net->mtu ? net->mtu : ETH_DATA_LEN;

	if (offload_flags(&net->dev) & (TUN_F_TSO4 | TUN_F_TSO6))
		return FRAME_MAX;
	return HEADER + ETH_HLEN + VLAN_TAG + mtu;
}

/* Whether a frame may be read, as there is no telling its length before. If
 * there is no room for the longest, a driver that still has half of what it
 * last gave is not about to give more: what does not fit then is dropped. */
static bool rx_ready(const struct virtio_net *net)
{
	const struct net_rx_window *rx = &net->rx;

	if (!rx->count)
		return false;
	return rx->capacity >= rx_longest(net) || rx->full ||
	       2 * rx->count >= net->rx_given;
}

static int rx_fill(struct virtio_net *net)
{
	bool merge = virtio_has_feature(&net->dev, VIRTIO_NET_F_MRG_RXBUF);
	int ret = net_rx_window_fill(&net->rx, &net->dev.queues[VIRTIO_NET_RX],
				     merge ? FRAME_MAX : 0);

	if (net->rx.count > net->rx_given)
		net->rx_given = net->rx.count;
	return ret;
}

/* Without mergeable buffers a frame has only the first buffer. */
static unsigned rx_iov_count(const struct virtio_net *net, size_t *capacity)
{
	const struct net_rx_window *rx = &net->rx;

	if (virtio_has_feature(&net->dev, VIRTIO_NET_F_MRG_RXBUF)) {
		*capacity = rx->capacity;
		return rx->iov_count;
	}
	*capacity = rx->buffers[0].bytes;
	return rx->buffers[0].iov_count;
}

/* Reads one frame into the window: 1, or 0 when there is none. */
static int rx_frame(struct virtio_net *net)
{
	struct net_rx_window *rx = &net->rx;
	size_t capacity;
	unsigned count = rx_iov_count(net, &capacity);
	struct iovec saved = rx->iov[count];
	uint8_t beyond;
	ssize_t len;

	/* a byte beyond the buffers tells frames that do not fit */
	rx->iov[count] = (struct iovec){ .iov_base = &beyond, .iov_len = 1 };
	len = readv(net->tap.fd, rx->iov, (int)count + 1);
	rx->iov[count] = saved;
	if (len < 0)
		return errno == EINTR;
	if ((size_t)len > capacity)
		log_guest(LOG_INFO,
			  "net: dropped a frame that is longer than "
			  "the driver's receive buffers");
	else if ((size_t)len >= FRAME_MIN)
		net_rx_window_use(rx, &net->dev.queues[VIRTIO_NET_RX],
				  (size_t)len);
	return 1;
}

static void rx_serve(struct virtio_net *net)
{
	struct virtio_device *dev = &net->dev;
	unsigned turn = TURN_FRAMES;
	int ret;

	if (!dev->queues[VIRTIO_NET_RX].state.ready)
		return;
	while ((ret = rx_fill(net)) == 0 && rx_ready(net) && turn-- > 0)
		if (!rx_frame(net))
			break;
	if (ret)
		virtio_device_broken(dev, "bad receive ring or buffer");
	virtio_device_interrupt(dev, VIRTIO_NET_RX);
}

/* --- transmit --- */

/* Sends the readable part of a chain. False when the tap is full. What the
 * tap refuses is lost, as on a wire. */
static bool tx_frame(struct virtio_net *net, const struct chain *chain)
{
	size_t len = iov_length(chain->iov, chain->out_count);
	ssize_t sent;

	if (len < FRAME_MIN || len > FRAME_MAX)
		return true;
	do {
		sent = writev(net->tap.fd, chain->iov, chain->out_count);
	} while (sent < 0 && errno == EINTR);
	return sent >= 0 || errno != EAGAIN;
}

static int tx_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct virtio_net *net = from_dev(dev);
	struct chain chain;
	int ret = virtqueue_pop(vq, &chain);

	if (ret <= 0)
		return ret;
	if (!tx_frame(net, &chain)) {
		virtqueue_unpop(vq);
		net->tx_blocked = true;
		return -EAGAIN;
	}
	virtqueue_push(vq, chain.head, 0);
	return 1;
}

static void tx_serve(struct virtio_net *net)
{
	virtio_device_serve(&net->dev, VIRTIO_NET_TX, TURN_FRAMES, tx_next);
}

/* --- the tap --- */

/* Waits for what there is to wait for, and for nothing else: a tap that is
 * readable must not wake the loop while there are no buffers. */
static void tap_watch(struct virtio_net *net)
{
	struct event_loop *loop = net->dev.loop;
	uint32_t events = 0;
	int ret = 0;

	if (virtio_device_up(&net->dev)) {
		events |= rx_ready(net) ? EPOLLIN : 0;
		events |= net->tx_blocked ? EPOLLOUT : 0;
	}
	if (events == net->tap_events)
		return;
	if (!events)
		event_loop_remove(loop, &net->tap);
	else if (net->tap_events)
		ret = event_loop_modify(loop, &net->tap, events);
	else
		ret = event_loop_add(loop, &net->tap, events);
	if (ret)
		log_guest(LOG_ERROR, "net: %s", strerror(-ret));
	else
		net->tap_events = events;
}

static void tap_ready(struct event_source *source, uint32_t events)
{
	struct virtio_net *net = container_of(source, struct virtio_net, tap);

	if (events & (EPOLLERR | EPOLLHUP)) {
		/* somebody deleted the interface; that does not heal */
		log_guest(LOG_ERROR, "net: the tap is gone");
		event_loop_remove(net->dev.loop, &net->tap);
		return;
	}
	if ((events & EPOLLOUT) && net->tx_blocked) {
		net->tx_blocked = false;
		tx_serve(net);
	}
	if (events & EPOLLIN)
		rx_serve(net);
	tap_watch(net);
}

/* --- the driver --- */

static void notify(struct virtio_device *dev, unsigned queue)
{
	struct virtio_net *net = from_dev(dev);

	if (queue == VIRTIO_NET_RX) {
		net->rx_given = 0;
		rx_serve(net);
	} else if (!net->tx_blocked) {
		tx_serve(net);
	}
	tap_watch(net);
}

static int activate(struct virtio_device *dev)
{
	struct virtio_net *net = from_dev(dev);
	int ret = net_tap_set_offload(net->tap.fd, offload_flags(dev));

	/* what is no tap makes plain frames only */
	if (ret && ret != -ENOTTY && ret != -EOPNOTSUPP)
		return ret;
	/* 3.1.1: buffers may be there already, with no kick to come */
	if (dev->queues[VIRTIO_NET_RX].state.ready && rx_fill(net))
		return -EPROTO;
	tap_watch(net);
	return 0;
}

static void queue_stop(struct virtio_device *dev, unsigned queue)
{
	struct virtio_net *net = from_dev(dev);

	if (queue == VIRTIO_NET_RX) {
		net_rx_window_clear(&net->rx);
		net->rx_given = 0;
	} else {
		net->tx_blocked = false;
	}
	tap_watch(net);
}

static const struct virtio_device_ops net_ops = {
	.device_id = VIRTIO_ID_NET,
	.activate = activate,
	.notify = notify,
	.queue_stop = queue_stop,
};

struct virtio_device *
virtio_net_create(const struct virtio_net_options *options,
		  const struct guest_mem *mem, struct event_loop *loop,
		  struct error *err)
{
	struct virtio_net *net = calloc(1, sizeof(*net));
	le16_t status = le16(VIRTIO_NET_S_LINK_UP);
	le16_t mtu = le16(options->mtu);
	uint64_t features = OFFERED;

	if (!net) {
		error_set(err, ERROR_IO, ENOMEM, "virtio-net");
		return NULL;
	}
	if (options->mtu)
		features |= 1ULL << VIRTIO_NET_F_MTU;
	virtio_device_init(&net->dev, &net_ops, mem, loop, features, 2,
			   VIRTIO_NET_QUEUE_SIZE);
	net->mtu = options->mtu;
	memcpy(net->config.mac, options->mac, sizeof(net->config.mac));
	memcpy(&net->config.status, &status, sizeof(status));
	memcpy(&net->config.mtu, &mtu, sizeof(mtu));
	net->dev.config = &net->config;
	net->dev.config_size = sizeof(net->config);
	net->tap = (struct event_source){
		.fd = options->tap_fd,
		.ready = tap_ready,
		.lock = &net->dev.lock,
	};
	return &net->dev;
}

void virtio_net_destroy(struct virtio_device *dev)
{
	if (!dev)
		return;
	event_loop_remove(dev->loop, &from_dev(dev)->tap);
	virtio_device_destroy(dev);
	free(from_dev(dev));
}
