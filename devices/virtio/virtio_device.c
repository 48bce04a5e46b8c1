#include "devices/virtio/virtio_device.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "base/fair_lock.h"
#include "base/log.h"

void virtio_device_init(struct virtio_device *dev,
			const struct virtio_device_ops *ops,
			const struct guest_mem *mem, struct event_loop *loop,
			uint64_t features, unsigned queue_count,
			uint16_t queue_size)
{
	assert(queue_count <= VIRTIO_QUEUES_MAX);
	dev->ops = ops;
	dev->mem = mem;
	dev->loop = loop;
	dev->kick_inline = ops->kick_inline;
	dev->features = features | 1ULL << VIRTIO_F_VERSION_1 |
			1ULL << VIRTIO_RING_F_EVENT_IDX |
			1ULL << VIRTIO_RING_F_INDIRECT_DESC;
	dev->queue_count = queue_count;
	for (unsigned i = 0; i < queue_count; i++)
		virtqueue_init(&dev->queues[i], queue_size);
	fair_lock_init(&dev->lock);
}

void virtio_device_destroy(struct virtio_device *dev)
{
	pthread_mutex_destroy(&dev->lock);
}

bool virtio_device_up(const struct virtio_device *dev)
{
	return (dev->status & VIRTIO_CONFIG_S_DRIVER_OK) &&
	       !(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

void virtio_device_notify(struct virtio_device *dev, uint32_t queue)
{
	if (virtio_device_up(dev) && queue < dev->queue_count &&
	    dev->queues[queue].state.ready)
		dev->ops->notify(dev, queue);
}

void virtio_device_serve(struct virtio_device *dev, unsigned queue,
			 unsigned turn,
			 int (*next)(struct virtio_device *dev,
				     struct virtqueue *vq))
{
	struct virtqueue *vq = &dev->queues[queue];
	unsigned cost = 0;
	int ret;

	do {
		virtqueue_kicks_disable(vq);
		while ((ret = next(dev, vq)) > 0) {
			cost += (unsigned)ret;
			if (cost >= turn && virtio_device_again(dev, queue))
				goto out;
		}
	} while (ret == 0 && virtqueue_kicks_enable(vq));
	if (ret == -EPROTO)
		virtio_device_broken(dev, "bad ring or request");
out:
	virtio_device_interrupt(dev, queue);
}

bool virtio_device_again(struct virtio_device *dev, unsigned queue)
{
	return dev->transport_ops->queue_again(dev->transport, queue);
}

void virtio_device_interrupt(struct virtio_device *dev, unsigned queue)
{
	if (virtqueue_needs_interrupt(&dev->queues[queue]))
		dev->transport_ops->queue_interrupt(dev->transport);
}

void virtio_device_config_changed(struct virtio_device *dev)
{
	dev->transport_ops->config_interrupt(dev->transport);
}

void virtio_device_broken(struct virtio_device *dev, const char *why)
{
	log_guest(LOG_WARN, "virtio device %u needs a reset: %s",
		  dev->ops->device_id, why);
	dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	virtio_device_config_changed(dev);
}
