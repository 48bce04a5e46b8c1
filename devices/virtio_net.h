/* Network device (virtio 1.2, section 5.1): one queue pair on a back end.
 *
 * Frames go between the back end and guest memory. Both directions run in the
 * event loop, in bounded turns.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "devices/net_backend.h"
#include "devices/virtio_device.h"

#define VIRTIO_NET_QUEUE_SIZE 256
#define VIRTIO_NET_RX 0 /* queue numbers, 5.1.2 */
#define VIRTIO_NET_TX 1

struct virtio_net_options {
	struct net_backend *backend; /* the caller's, outlives the device */
	uint8_t mac[NET_MAC_LEN];
	uint16_t mtu; /* bytes, 68 and up; 0: leave it to the driver */
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

/* The transport is gone, which has reset the device. NULL is fine. */
void virtio_net_destroy(struct virtio_device *dev);
