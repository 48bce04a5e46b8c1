#include "devices/virtio/virtio_state.h"

#include <linux/virtio_config.h>
#include <string.h>

#include "devices/virtio/virtio_negotiation.h"

void virtio_device_hold(struct virtio_device *dev)
{
	dev->holds++;
}

void virtio_device_quiesce(struct virtio_device *dev)
{
	virtio_device_hold(dev);
	if (dev->ops->quiesce)
		dev->ops->quiesce(dev);
}

/* Makes up for interrupts and kicks that were missed. */
static void catch_up(struct virtio_device *dev)
{
	for (unsigned i = 0; i < dev->queue_count; i++) {
		if (!dev->queues[i].state.ready)
			continue;
		virtio_device_interrupt(dev, i);
		virtio_device_again(dev, i);
	}
}

void virtio_device_resume(struct virtio_device *dev)
{
	assert(dev->holds);
	if (--dev->holds)
		return;
	if (virtio_device_up(dev))
		virtio_device_start(dev, dev->ops->resume);
	else if (dev->ops->resume)
		dev->ops->resume(dev);
	/* the host may have other contents for configuration space here */
	if (dev->loaded)
		virtio_device_config_changed(dev);
	dev->loaded = false;
	if (virtio_device_up(dev))
		catch_up(dev);
}

int virtio_device_can_save(const struct virtio_device *dev, struct error *err)
{
	if (!dev->ops->unsaved)
		return 0;
	return error_usage(err, "%s", dev->ops->unsaved);
}

size_t virtio_device_state_size(const struct virtio_device *dev)
{
	return sizeof(struct virtio_device_state) + dev->state_size;
}

void virtio_device_save(const struct virtio_device *dev, void *state)
{
	struct virtio_device_state common = {
		.driver_features = dev->driver_features,
		.status = dev->status,
		.config_generation = dev->config_generation,
	};

	assert(dev->holds);
	for (unsigned i = 0; i < dev->queue_count; i++)
		common.queues[i] = dev->queues[i].state;
	memcpy(state, &common, sizeof(common));
	if (dev->state_size)
		memcpy((uint8_t *)state + sizeof(common), dev->state,
		       dev->state_size);
}

static bool common_valid(const struct virtio_device *dev,
			 const struct virtio_device_state *common)
{
	if (common->status &
	    ~(uint32_t)(VIRTIO_DRIVER_STATUS | VIRTIO_CONFIG_S_NEEDS_RESET))
		return false;
	if (!(common->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return !(common->status & VIRTIO_CONFIG_S_DRIVER_OK);
	return virtio_device_features_ok(dev, common->driver_features);
}

/* Resume checks the rings, when it starts the queues. */
static void load_queues(struct virtio_device *dev,
			const struct virtio_device_state *common)
{
	for (unsigned i = 0; i < dev->queue_count; i++) {
		struct virtqueue_state *s = &dev->queues[i].state;

		*s = common->queues[i];
		s->ready = s->ready != 0;
		/* The last interrupts may have been lost: everything in the
		 * ring may be new to the driver. */
		s->last_interrupt = (uint16_t)(s->next_used - s->size);
	}
}

int virtio_device_load(struct virtio_device *dev, const void *state,
		       size_t size, struct error *err)
{
	const uint8_t *own =
		(const uint8_t *)state + sizeof(struct virtio_device_state);
	struct virtio_device_state common;

	assert(!dev->status);
	if (virtio_device_can_save(dev, err))
		return -1;
	if (size != virtio_device_state_size(dev))
		return error_image(err, "a state of %zu bytes, not %zu", size,
				   virtio_device_state_size(dev));
	memcpy(&common, state, sizeof(common));
	if (!common_valid(dev, &common))
		return error_image(
			err,
			"the state has a status or features that the "
			"device cannot have");
	if (dev->ops->state_valid && !dev->ops->state_valid(dev, own))
		return error_image(err, "the device cannot be in this state");
	dev->driver_features = common.driver_features;
	dev->status = common.status;
	dev->config_generation = common.config_generation;
	load_queues(dev, &common);
	if (dev->state_size)
		memcpy(dev->state, own, dev->state_size);
	dev->loaded = true;
	virtio_device_hold(dev);
	return 0;
}
