/* What a driver asks of a virtio device, whichever transport it came by
 * (virtio 1.2, chapters 2 and 3): features, status, queues, configuration
 * space, kicks.
 *
 * Transports call these; arguments may be anything that a guest can write, and
 * what does not fit the state of the device is ignored or reads as zero. As for
 * all of virtio_device.h, the device's lock is held, but for attach and detach.
 */
#pragma once

#include "devices/virtio/virtio_device.h"

/* The device's interrupts and ioeventfds are the transport's from now on.
 * detach resets the device; vCPUs and the event loop have stopped by then. */
void virtio_device_attach(struct virtio_device *dev,
			  const struct virtio_transport_ops *ops,
			  void *transport);
void virtio_device_detach(struct virtio_device *dev);

/* Features come in words of 32 bits, 0 and 1 of them in use. They are settled
 * once FEATURES_OK is set. */
uint32_t virtio_device_read_features(const struct virtio_device *dev,
				     uint32_t word);
void virtio_device_write_features(struct virtio_device *dev, uint32_t word,
				  uint32_t value);

/* Bits are only ever added, each where its time has come (2.1, 3.1.1). 0 is a
 * reset. dev->status is what the driver reads. */
void virtio_device_write_status(struct virtio_device *dev, uint32_t value);

/* NULL where the device has no such queue. */
struct virtqueue *virtio_device_queue(struct virtio_device *dev,
				      uint32_t queue);

/* Where the driver writes size and addresses of a queue; NULL while it may not:
 * when the queue is ready or the driver up, or without such a queue. */
struct virtqueue_state *virtio_device_queue_layout(struct virtio_device *dev,
						   uint32_t queue);

/* A driver that is up may only stop a queue; a reset makes it ready again. */
void virtio_device_write_ready(struct virtio_device *dev, uint32_t queue,
			       bool ready);

/* size: 1 to 8 bytes, of which those outside configuration space read as zero.
 * A write lies wholly inside it or is ignored. */
uint64_t virtio_device_read_config(struct virtio_device *dev, uint64_t offset,
				   unsigned size);
void virtio_device_write_config(struct virtio_device *dev, uint64_t offset,
				unsigned size, uint64_t value);

/* A kick that arrived in a vCPU's thread. */
void virtio_device_kick(struct virtio_device *dev, uint32_t queue);
