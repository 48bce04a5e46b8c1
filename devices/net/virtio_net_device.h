/* Private to the files of virtio-net: the device, its queue pairs, and the
 * steps of a frame's way. Under the device's lock.
 */
#pragma once

#include <assert.h>
#include <linux/virtio_net.h>

#include "base/container_of.h"
#include "devices/net/net_config.h"
#include "devices/net/net_rx_window.h"
#include "devices/net/virtio_net.h"

#define NET_BIT(feature) (1ULL << (feature))
#define NET_GUEST_SEGMENTATION                                                 \
	(NET_BIT(VIRTIO_NET_F_GUEST_TSO4) | NET_BIT(VIRTIO_NET_F_GUEST_TSO6) | \
	 NET_BIT(VIRTIO_NET_F_GUEST_USO4) | NET_BIT(VIRTIO_NET_F_GUEST_USO6))

/* Bounds of a frame with its header, in bytes. */
#define NET_WHOLE_MAX (NET_HEADER + NET_FRAME_MAX)
#define NET_WHOLE_MIN (NET_HEADER + NET_FRAME_MIN)

#define NET_TURN 64 /* frames each way, before other devices have a turn */

/* A receive and a transmit queue, and the back end behind them. */
struct net_pair {
	struct virtio_net *net;
	unsigned index;
	struct net_backend *backend;
	struct event_source source; /* active while events is not 0 */
	uint32_t events;	    /* waited for: EPOLLIN, EPOLLOUT */
	bool tx_blocked;   /* the back end has no room; EPOLLOUT will come */
	unsigned rx_given; /* most buffers in rx since the last kick */
	struct net_rx_window rx;
};

/* State saved in a snapshot. */
struct virtio_net_state {
	uint64_t offloads;   /* VIRTIO_NET_F_GUEST_* that are on */
	uint16_t pairs_used; /* the first so many; the others get no frames */
	uint16_t plugged;    /* virtio_net_set_link() */
	uint16_t pad[2];
};
static_assert(sizeof(struct virtio_net_state) == 16, "saved in snapshots");

struct virtio_net {
	struct virtio_device dev;
	struct virtio_net_config config;
	struct virtio_net_state state;
	uint16_t mtu; /* 0: not known */
	bool lost;    /* a back end is gone; the log has a line about it */
	struct rate_limiter rx_limiter, tx_limiter;
	unsigned rx_last, tx_last; /* the pairs whose frames passed last */
	unsigned pair_count;
	struct net_pair pairs[NET_PAIRS_MAX];
};

static inline struct virtio_net *net_from_dev(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_net, dev);
}

static inline bool net_link_is_up(const struct virtio_net *net)
{
	return net->state.plugged && !net->lost;
}

static inline bool net_pair_has_frames(const struct net_pair *pair)
{
	return net_link_is_up(pair->net) &&
	       pair->index < pair->net->state.pairs_used;
}

static inline unsigned net_pair_queue(const struct net_pair *pair,
				      unsigned which)
{
	return 2 * pair->index + which;
}

static inline struct virtqueue *net_rx_queue(const struct net_pair *pair)
{
	return &pair->net->dev.queues[net_pair_queue(pair, VIRTIO_NET_RX)];
}

/* --- limits, which all pairs share --- */

static inline bool net_may_pass(struct rate_limiter *limiter)
{
	return !limiter->enabled || rate_limiter_may(limiter);
}

/* len: with header. */
static inline void net_has_passed(struct rate_limiter *limiter, size_t len)
{
	if (limiter->enabled)
		rate_limiter_take(limiter, len - NET_HEADER, 1);
}

/* --- virtio_net.c --- */

/* Brings the link in configuration space up to date, and tells the driver if it
 * has changed. */
void net_update_link(struct virtio_net *net);

/* Uses the first so many queue pairs, any number. False if the device does not
 * have them or a back end refuses; then everything is as before. */
bool net_set_pairs(struct virtio_net *net, uint16_t pairs);

/* Lets back ends receive frames of these kinds: bits of VIRTIO_NET_F_GUEST_*,
 * any. False if the driver did not negotiate them or a back end refuses. */
bool net_set_offloads(struct virtio_net *net, uint64_t offloads);

/* --- virtio_net_control.c --- */

/* Pops one command, carries it out and answers it: as the `next` of
 * virtio_device_serve(). A command that does not exist or is not well formed is
 * answered with an error. One without room for the answer breaks the device. */
int net_control_next(struct virtio_device *dev, struct virtqueue *vq);

/* --- virtio_net_rx.c --- */

/* Whether a frame may be received now. */
bool net_rx_ready(const struct net_pair *pair);

/* Pops receive buffers ahead, as many as the next frame may need. 0 or -EPROTO.
 */
int net_rx_fill(struct net_pair *pair);

/* Receives frames until a turn is over or something has to be waited for. */
void net_rx_serve(struct net_pair *pair);

/* --- virtio_net_pair.c --- */

void net_pair_init(struct virtio_net *net, unsigned index,
		   struct net_backend *backend);

/* Sends frames until the ring is empty, a turn is over or something has to be
 * waited for. */
void net_tx_serve(struct net_pair *pair);

/* Has the event loop wait for what the pair needs now. To be called after
 * anything that may have changed that. */
void net_pair_settle(struct net_pair *pair);
