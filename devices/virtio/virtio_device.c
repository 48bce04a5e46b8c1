#include "devices/virtio/virtio_device.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>

#include "base/fair_lock.h"
#include "base/log.h"
#include "base/wake.h"

static int open_queue(struct virtio_device *dev, unsigned queue)
{
	int ret;

	virtqueue_init(&dev->queues[queue], dev->ops->queue_size);
	queue_batch_init(&dev->batches[queue], dev, queue);
	ret = queue_kick_open(&dev->kicks[queue], dev, queue);
	if (ret == 0 && dev->kick_inline && dev->ops->batched)
		ret = queue_batch_open(&dev->batches[queue]);
	return ret;
}

static void free_device(struct virtio_device *dev)
{
	for (unsigned i = 0; i < dev->queue_count; i++) {
		queue_kick_close(&dev->kicks[i]);
		queue_batch_close(&dev->batches[i]);
	}
	pthread_mutex_destroy(&dev->lock);
	free(dev);
}

struct virtio_device *
virtio_device_create(const struct virtio_device_ops *ops,
		     const struct guest_mem *mem, struct event_loop *loop,
		     uint64_t features, unsigned queue_count, struct error *err)
{
	struct virtio_device *dev = calloc(1, ops->size);
	int ret = 0;

	assert(queue_count <= VIRTIO_QUEUES_MAX);
	if (!dev) {
		error_set(err, ERROR_IO, ENOMEM, "%s", ops->name);
		return NULL;
	}
	dev->ops = ops;
	dev->mem = mem;
	dev->loop = loop;
	dev->kick_inline = ops->kick_inline;
	dev->features = features | 1ULL << VIRTIO_F_VERSION_1 |
			1ULL << VIRTIO_RING_F_EVENT_IDX |
			1ULL << VIRTIO_RING_F_INDIRECT_DESC;
	fair_lock_init(&dev->lock);
	while (dev->queue_count < queue_count && ret == 0)
		ret = open_queue(dev, dev->queue_count++);
	if (ret == 0)
		return dev;
	error_set(err, ERROR_IO, -ret, "%s", ops->name);
	free_device(dev);
	return NULL;
}

void virtio_device_destroy(struct virtio_device *dev)
{
	if (!dev)
		return;
	if (dev->ops->destroy)
		dev->ops->destroy(dev);
	free_device(dev);
}

void virtio_device_kick_in_loop(struct virtio_device *dev)
{
	dev->kick_inline = false;
	for (unsigned i = 0; i < dev->queue_count; i++)
		queue_batch_close(&dev->batches[i]);
}

bool virtio_device_up(const struct virtio_device *dev)
{
	return (dev->status & VIRTIO_CONFIG_S_DRIVER_OK) &&
	       !(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET) && !dev->holds;
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
		while ((ret = next(dev, vq)) > 0 && cost + (unsigned)ret < turn)
			cost += (unsigned)ret;
	} while (ret == 0 && virtqueue_kicks_enable(vq));
	if (ret > 0)
		virtio_device_again(dev, queue);
	else if (ret == -EPROTO)
		virtio_device_broken(dev, "bad ring or request");
	virtio_device_interrupt(dev, queue);
}

void virtio_device_again(struct virtio_device *dev, unsigned queue)
{
	wake(dev->kicks[queue].source.fd);
}

void virtio_device_interrupt(struct virtio_device *dev, unsigned queue)
{
	if (virtqueue_needs_interrupt(&dev->queues[queue]))
		virtio_device_interrupt_always(dev, queue);
}

void virtio_device_interrupt_always(struct virtio_device *dev, unsigned queue)
{
	dev->transport_ops->interrupt(dev->transport, queue);
}

void virtio_device_kick_fd_changed(struct virtio_device *dev, unsigned queue)
{
	queue_kick_move(&dev->kicks[queue]);
}

void virtio_device_config_changed(struct virtio_device *dev)
{
	dev->config_generation++;
	/* 2.1.2: no notification before the driver is up */
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		dev->transport_ops->config_changed(dev->transport);
}

void virtio_device_broken(struct virtio_device *dev, const char *why)
{
	log_guest(LOG_WARN, "virtio device %u needs a reset: %s",
		  dev->ops->device_id, why);
	dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	virtio_device_config_changed(dev);
}
