/* The control queue of virtio-net (virtio 1.2, 5.1.6.5): what a driver sets
 * while the device runs.
 *
 * Which frames the driver wants to see (promiscuous, addresses) is checked and
 * taken note of by nobody: it gets all there are, as 5.1.6.5.1 allows. Under
 * the device's mutex.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "devices/virtio/virtio_device.h"

struct net_control_ops {
	/* Use the first so many queue pairs. False refuses. */
	bool (*set_pairs)(struct virtio_device *dev, uint16_t pairs);

	/* Receive such frames: bits of VIRTIO_NET_F_GUEST_*, any. False
	 * refuses. */
	bool (*set_offloads)(struct virtio_device *dev, uint64_t offloads);
};

/* Pops one command, carries it out and answers it: as the `next` of
 * virtio_device_serve(). A command that is none is answered with an error, one
 * without room for the answer breaks the device. */
int net_control_next(struct virtio_device *dev, struct virtqueue *vq,
		     const struct net_control_ops *ops);
