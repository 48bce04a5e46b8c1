#include <linux/if_ether.h>

#include "base/log.h"
#include "devices/net/virtio_net_device.h"

#define VLAN_TAG 4

/* The longest frame that the back end can bring, with header, in bytes. Without
 * segmentation offload a frame holds one packet. A tap starts with an MTU of
 * 1500. */
static size_t rx_longest(const struct virtio_net *net)
{
	uint16_t mtu = net->mtu ? net->mtu : ETH_DATA_LEN;

	if (net->state.offloads & NET_GUEST_SEGMENTATION)
		return NET_WHOLE_MAX;
	return NET_HEADER + ETH_HLEN + VLAN_TAG + mtu;
}

/* How many bytes the next frame needs; an upper bound if that is not known. */
static size_t rx_need(const struct net_pair *pair)
{
	if (pair->backend->next)
		return pair->backend->next;
	return pair->backend->ops->fetch ? 0 : rx_longest(pair->net);
}

/* A frame may be received although it may not fit, if at least half of the
 * buffers that the driver gave last are unused: the driver will not give more
 * before some of these are used. A frame that does not fit is dropped then. */
bool net_rx_ready(const struct net_pair *pair)
{
	const struct net_rx_window *rx = &pair->rx;

	if (!rx->count || !net_pair_has_frames(pair) ||
	    pair->net->rx_limiter.waiting)
		return false;
	return rx->capacity >= rx_need(pair) || rx->full ||
	       2 * rx->count >= pair->rx_given;
}

static bool rx_fetch(struct net_pair *pair)
{
	struct net_backend *backend = pair->backend;

	if (!net_rx_ready(pair))
		return false;
	if (!backend->ops->fetch || backend->next)
		return true;
	return backend->ops->fetch(backend) && net_rx_ready(pair);
}

int net_rx_fill(struct net_pair *pair)
{
	bool merge =
		virtio_has_feature(&pair->net->dev, VIRTIO_NET_F_MRG_RXBUF);
	int ret = net_rx_window_fill(&pair->rx, net_rx_queue(pair),
				     merge ? NET_WHOLE_MAX : 0);

	if (pair->rx.count > pair->rx_given)
		pair->rx_given = pair->rx.count;
	return ret;
}

/* Where the next frame goes. Without mergeable buffers that is the first buffer
 * alone. */
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

/* Receives one frame into the window. False if there is none. */
static bool rx_frame(struct net_pair *pair)
{
	struct net_backend *backend = pair->backend;
	struct net_rx_window *rx = &pair->rx;
	size_t capacity;
	unsigned count = rx_iov_count(pair, &capacity);
	ssize_t len = backend->ops->receive(backend, rx->iov, count, capacity);

	if (len < 0)
		return false;
	if ((size_t)len >= NET_WHOLE_MIN) {
		net_has_passed(&pair->net->rx_limiter, (size_t)len);
		pair->net->rx_last = pair->index;
	}
	if ((size_t)len > capacity)
		log_guest(LOG_INFO,
			  "net: dropped a frame that is longer than "
			  "the driver's receive buffers");
	else if ((size_t)len >= NET_WHOLE_MIN)
		net_rx_window_use(rx, net_rx_queue(pair), (size_t)len);
	return true;
}

void net_rx_serve(struct net_pair *pair)
{
	struct virtio_device *dev = &pair->net->dev;
	unsigned turn = NET_TURN;
	int ret;

	if (!virtio_device_up(dev) || !net_rx_queue(pair)->state.ready)
		return;
	while ((ret = net_rx_fill(pair)) == 0 && turn-- > 0)
		if (!net_may_pass(&pair->net->rx_limiter) || !rx_fetch(pair) ||
		    !rx_frame(pair))
			break;
	if (ret)
		virtio_device_broken(dev, "bad receive ring or buffer");
	virtio_device_interrupt(dev, net_pair_queue(pair, VIRTIO_NET_RX));
}
