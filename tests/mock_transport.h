/* A transport that is neither MMIO nor PCI: it counts what a device tells it,
 * and has no registers. The driver's side calls virtio_negotiation.h.
 */
#pragma once

#include "devices/virtio/virtio_device.h"

struct mock_transport {
	unsigned interrupts[VIRTIO_QUEUES_MAX];
	unsigned config_changes;
	int kicks[VIRTIO_QUEUES_MAX]; /* attached eventfds; -1: none */
	unsigned attached, detached;
	int attach_result; /* what attaching ends with: 0 or -errno */
};

/* Puts dev behind it. virtio_device_detach() is the end of that. */
void mock_transport_attach(struct mock_transport *transport,
			   struct virtio_device *dev);

/* Interrupts of a queue since the last call. */
unsigned mock_transport_interrupts(struct mock_transport *transport,
				   unsigned queue);
