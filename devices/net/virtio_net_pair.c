#include <errno.h>
#include <string.h>

#include "base/iov.h"
#include "base/log.h"
#include "devices/net/virtio_net_device.h"

/* --- transmit --- */

/* Sends the readable part of a chain. False if the back end has no room. */
static bool tx_frame(struct net_pair *pair, const struct chain *chain)
{
	size_t len = iov_length(chain->iov, chain->out_count);

	if (len < NET_WHOLE_MIN || len > NET_WHOLE_MAX ||
	    !net_pair_has_frames(pair))
		return true;
	if (!pair->backend->ops->send(pair->backend, chain->iov,
				      chain->out_count))
		return false;
	net_has_passed(&pair->net->tx_limiter, len);
	pair->net->tx_last = pair->index;
	return true;
}

static int tx_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct net_pair *pair =
		&net_from_dev(dev)->pairs[(vq - dev->queues) / 2];
	struct chain chain;
	int ret;

	if (!net_may_pass(&pair->net->tx_limiter))
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

void net_tx_serve(struct net_pair *pair)
{
	struct virtio_device *dev = &pair->net->dev;

	if (virtio_device_up(dev) && !pair->tx_blocked)
		virtio_device_serve(dev, net_pair_queue(pair, VIRTIO_NET_TX),
				    NET_TURN, tx_next);
}

/* --- the back end --- */

static uint32_t events_wanted(struct net_pair *pair)
{
	struct virtio_device *dev = &pair->net->dev;
	const struct net_backend *backend = pair->backend;
	uint32_t events = 0;

	if (backend->gone)
		return 0;
	/* the rest of a frame is sent even after a reset */
	if (backend->unsent)
		events |= EPOLLOUT;
	if (!virtio_device_up(dev))
		return events;
	if (pair->tx_blocked)
		events |= EPOLLOUT;
	if (!net_rx_ready(pair))
		return events;
	/* a frame that was fetched already makes no descriptor readable */
	if (backend->next)
		virtio_device_again(dev, net_pair_queue(pair, VIRTIO_NET_RX));
	else
		events |= EPOLLIN;
	return events;
}

/* Has the event loop wait for exactly the events that are wanted: a readable
 * back end must not wake the loop while there are no buffers. */
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

void net_pair_settle(struct net_pair *pair)
{
	struct virtio_net *net = pair->net;

	if (pair->backend->gone && !net->lost) {
		net->lost = true;
		log_guest(LOG_ERROR, "net: %s is gone, and the link down",
			  pair->backend->name);
		net_update_link(net);
	}
	/* a pair without frames drops what the driver sends, so that
	 * waiting for room makes no sense any more */
	if (pair->tx_blocked && !net_pair_has_frames(pair)) {
		pair->tx_blocked = false;
		net_tx_serve(pair);
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
			net_tx_serve(pair);
		}
	}
	if (events & EPOLLIN)
		net_rx_serve(pair);
	/* somebody deleted the interface, or ended the program behind it */
	if (events & (EPOLLERR | EPOLLHUP))
		backend->gone = true;
	net_pair_settle(pair);
}

void net_pair_init(struct virtio_net *net, unsigned index,
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
