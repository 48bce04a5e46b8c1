#include "devices/virtio/virtio_negotiation.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "base/le_types.h"

/* --- queues --- */

struct virtqueue *virtio_device_queue(struct virtio_device *dev, uint32_t queue)
{
	return queue < dev->queue_count ? &dev->queues[queue] : NULL;
}

struct virtqueue_state *virtio_device_queue_layout(struct virtio_device *dev,
						   uint32_t queue)
{
	struct virtqueue *vq = virtio_device_queue(dev, queue);

	if (!vq || vq->state.ready || (dev->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return NULL;
	return &vq->state;
}

static void stop_queue(struct virtio_device *dev, unsigned queue)
{
	struct virtqueue *vq = &dev->queues[queue];

	queue_kick_stop(&dev->kicks[queue]);
	queue_batch_stop(&dev->batches[queue]);
	if (dev->ops->queue_stop)
		dev->ops->queue_stop(dev, queue);
	virtqueue_init(vq, vq->size_max);
}

void virtio_device_write_ready(struct virtio_device *dev, uint32_t queue,
			       bool ready)
{
	struct virtqueue *vq = virtio_device_queue(dev, queue);

	if (!vq)
		return;
	if (!(dev->status & VIRTIO_CONFIG_S_DRIVER_OK))
		vq->state.ready = ready;
	else if (!ready)
		stop_queue(dev, queue);
}

void virtio_device_kick(struct virtio_device *dev, uint32_t queue)
{
	if (queue >= dev->queue_count)
		return;
	if (dev->kick_inline && dev->ops->batched)
		queue_batch_kick(&dev->batches[queue]);
	else
		virtio_device_notify(dev, queue);
}

/* --- features and status --- */

uint32_t virtio_device_read_features(const struct virtio_device *dev,
				     uint32_t word)
{
	return word > 1 ? 0 : (uint32_t)(dev->features >> 32 * word);
}

void virtio_device_write_features(struct virtio_device *dev, uint32_t word,
				  uint32_t value)
{
	if (word > 1 || (dev->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return;
	virtio_set_half(&dev->driver_features, word, value);
}

bool virtio_device_features_ok(const struct virtio_device *dev,
			       uint64_t features)
{
	return !(features & ~dev->features) &&
	       (features >> VIRTIO_F_VERSION_1 & 1);
}

static void reset(struct virtio_device *dev)
{
	for (unsigned i = 0; i < dev->queue_count; i++)
		stop_queue(dev, i);
	dev->status = 0;
	dev->driver_features = 0;
}

static bool start_queues(struct virtio_device *dev)
{
	bool event_idx = virtio_has_feature(dev, VIRTIO_RING_F_EVENT_IDX);

	for (unsigned i = 0; i < dev->queue_count; i++)
		if (dev->queues[i].state.ready &&
		    virtqueue_start(&dev->queues[i], dev->mem, event_idx))
			return false;
	return true;
}

static void attach_kicks(struct virtio_device *dev)
{
	for (unsigned i = 0; i < dev->queue_count; i++)
		if (dev->queues[i].state.ready)
			queue_kick_attach(&dev->kicks[i]);
}

void virtio_device_start(struct virtio_device *dev,
			 int (*begin)(struct virtio_device *dev))
{
	if (!start_queues(dev))
		virtio_device_broken(dev, "rings outside memory");
	else if (begin && begin(dev))
		virtio_device_broken(dev, "could not start");
	else if (!dev->kick_inline)
		attach_kicks(dev);
}

void virtio_device_write_status(struct virtio_device *dev, uint32_t value)
{
	uint32_t added = value & ~dev->status;

	if (!value) {
		reset(dev);
		return;
	}
	added &= VIRTIO_DRIVER_STATUS;
	if ((added & VIRTIO_CONFIG_S_FEATURES_OK) &&
	    !virtio_device_features_ok(dev, dev->driver_features))
		added &= ~(uint32_t)VIRTIO_CONFIG_S_FEATURES_OK;
	if ((added & VIRTIO_CONFIG_S_DRIVER_OK) &&
	    !((dev->status | added) & VIRTIO_CONFIG_S_FEATURES_OK))
		added &= ~(uint32_t)VIRTIO_CONFIG_S_DRIVER_OK;
	dev->status |= added;
	if (added & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_device_start(dev, dev->ops->activate);
}

/* --- configuration space --- */

uint64_t virtio_device_read_config(struct virtio_device *dev, uint64_t offset,
				   unsigned size)
{
	le64_t data = le64(0);

	if (offset >= dev->config_size)
		return 0;
	if (size > dev->config_size - offset)
		size = (unsigned)(dev->config_size - offset);
	if (dev->ops->config_read)
		dev->ops->config_read(dev, offset, size);
	memcpy(&data, (const uint8_t *)dev->config + offset, size);
	return le64_get(data);
}

void virtio_device_write_config(struct virtio_device *dev, uint64_t offset,
				unsigned size, uint64_t value)
{
	le64_t data = le64(value);

	if (dev->ops->config_write && offset < dev->config_size &&
	    size <= dev->config_size - offset)
		dev->ops->config_write(dev, offset, &data, size);
}

/* --- the transport --- */

void virtio_device_attach(struct virtio_device *dev,
			  const struct virtio_transport_ops *ops,
			  void *transport)
{
	dev->transport_ops = ops;
	dev->transport = transport;
}

void virtio_device_detach(struct virtio_device *dev)
{
	reset(dev);
	virtio_device_attach(dev, NULL, NULL);
}
