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
	/* The caller's. They outlive the device, and have the features of the
	 * first one. */
	struct net_backend *backends[NET_PAIRS_MAX];
	unsigned pairs;
	uint8_t mac[NET_MAC_LEN];
	uint16_t mtu; /* bytes, 68 and up; 0: leave it to the driver */
	/* On what the guest receives and sends, by all pairs together. A
	 * frame's bytes are counted without header. */
	struct rate_limits rx_limits, tx_limits;
};

/* mem and loop outlive the device. NULL with err set when memory or descriptors
 * run out. */
struct virtio_device *
virtio_net_create(const struct virtio_net_options *options,
		  const struct guest_mem *mem, struct event_loop *loop,
		  struct error *err);

/* Plugs the cable in, as it is at first, or pulls it out, and tells the driver.
 * Without the cable, frames are lost in both directions. The link of a device
 * whose back end is gone stays down. Under the device's mutex. */
void virtio_net_set_link(struct virtio_device *dev, bool up);
