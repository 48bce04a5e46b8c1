/* Network device (virtio 1.2, section 5.1): queue pairs, each on a back end of
 * its own, and a control queue. The driver uses one pair until it asks for
 * more.
 *
 * Frames go between back end and guest memory. Both directions of all pairs run
 * in the event loop, in bounded turns.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "base/rate_limiter.h"
#include "devices/net/net_backend.h"
#include "devices/virtio/virtio_device.h"

#define VIRTIO_NET_QUEUE_SIZE 256
#define VIRTIO_NET_RX 0 /* numbers of the first pair's queues, 5.1.2 */
#define VIRTIO_NET_TX 1

struct virtio_net_options {
	/* the caller's, outlive the device; what the first can do, all can */
	struct net_backend *backends[NET_PAIRS_MAX];
	unsigned pairs;
	uint8_t mac[NET_MAC_LEN];
	uint16_t mtu; /* bytes, 68 and up; 0: leave it to the driver */
	/* for all pairs together, of what the guest gets and what it sends;
	 * bytes are those of frames without header */
	struct rate_limits rx_limits, tx_limits;
};

/* mem and loop outlive the device. NULL with err set without memory. */
struct virtio_device *
virtio_net_create(const struct virtio_net_options *options,
		  const struct guest_mem *mem, struct event_loop *loop,
		  struct error *err);

/* Plugs the cable in, which it is at first, or pulls it: frames are then lost
 * both ways, and the driver is told. A back end that is gone keeps the link
 * down whatever this says. Under the device's mutex. */
void virtio_net_set_link(struct virtio_device *dev, bool up);
