/* Network device (virtio 1.2, section 5.1): one queue pair on a descriptor
 * that reads and writes frames behind a 12-byte header, as net_tap makes
 * them. Unit tests use a datagram socket pair.
 *
 * Frames go between the descriptor and guest memory without a copy in
 * between. Both directions run in the event loop, in bounded turns.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "devices/net_tap.h"
#include "devices/virtio_device.h"

#define VIRTIO_NET_QUEUE_SIZE 256
#define VIRTIO_NET_RX 0 /* queue numbers, 5.1.2 */
#define VIRTIO_NET_TX 1

struct virtio_net_options {
	int tap_fd; /* non-blocking; the caller's, outlives the device */
	uint8_t mac[NET_MAC_LEN];
	uint16_t mtu; /* bytes, 68 and up; 0: leave it to the driver */
};

/* mem and loop outlive the device. NULL with err set without memory. */
struct virtio_device *
virtio_net_create(const struct virtio_net_options *options,
		  const struct guest_mem *mem, struct event_loop *loop,
		  struct error *err);

/* The transport is gone, which has reset the device. NULL is fine. */
void virtio_net_destroy(struct virtio_device *dev);
