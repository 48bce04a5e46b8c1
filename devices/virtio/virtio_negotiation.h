/* What a driver asks of a virtio device, whichever transport carries it
 * (virtio 1.2, chapters 2 and 3): features, status, queues, configuration
 * space, kicks.
 *
 * Transports call these functions under the device's lock, except attach and
 * detach. Arguments come from the guest and may be any numbers. A request that
 * the device cannot meet in its present state is ignored, or reads as zero.
 */
#pragma once

#include <linux/virtio_config.h>

#include "devices/virtio/virtio_device.h"

/* The bits of a status that a driver sets (2.1). */
#define VIRTIO_DRIVER_STATUS                                       \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |    \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK | \
	 VIRTIO_CONFIG_S_FAILED)

/* Drivers write 64 bits in two halves: 0 is the low one. */
static inline void virtio_set_half(uint64_t *number, unsigned half,
				   uint32_t value)
{
	*number &= ~(0xffffffffULL << 32 * half);
	*number |= (uint64_t)value << 32 * half;
}

/* From now on this transport carries the device's interrupts and kicks. detach
 * resets the device; vCPUs and the event loop have stopped by then. */
void virtio_device_attach(struct virtio_device *dev,
			  const struct virtio_transport_ops *ops,
			  void *transport);
void virtio_device_detach(struct virtio_device *dev);

/* Features, 32 bits at a time. Words above 1 do not exist. A write after
 * FEATURES_OK is ignored. */
uint32_t virtio_device_read_features(const struct virtio_device *dev,
				     uint32_t word);
void virtio_device_write_features(struct virtio_device *dev, uint32_t word,
				  uint32_t value);

/* Adds bits to dev->status, each if the bits before it are set (2.1, 3.1.1). 0
 * resets the device. */
void virtio_device_write_status(struct virtio_device *dev, uint32_t value);

/* Whether a driver may take these features and no others. */
bool virtio_device_features_ok(const struct virtio_device *dev,
			       uint64_t features);

/* Starts all ready queues, calls begin(), which is one of the device's ops or
 * NULL, and attaches kicks. If a step fails, the device asks for a reset. */
void virtio_device_start(struct virtio_device *dev,
			 int (*begin)(struct virtio_device *dev));

/* NULL where the device has no such queue. */
struct virtqueue *virtio_device_queue(struct virtio_device *dev,
				      uint32_t queue);

/* The state that the driver may write a queue's size and addresses to. NULL if
 * there is no such queue, if it is ready, or if the driver is up. */
struct virtqueue_state *virtio_device_queue_layout(struct virtio_device *dev,
						   uint32_t queue);

/* A driver that is up may only stop a queue; a reset makes it ready again. */
void virtio_device_write_ready(struct virtio_device *dev, uint32_t queue,
			       bool ready);

/* size: 1 to 8 bytes. Bytes outside configuration space read as zero. A write
 * that is not wholly inside it is ignored. */
uint64_t virtio_device_read_config(struct virtio_device *dev, uint64_t offset,
				   unsigned size);
void virtio_device_write_config(struct virtio_device *dev, uint64_t offset,
				unsigned size, uint64_t value);

/* A kick that arrived in a vCPU's thread. */
void virtio_device_kick(struct virtio_device *dev, uint32_t queue);
