#include "devices/virtio/virtio_mmio.h"

#include <errno.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>

#include "devices/virtio/virtio_negotiation.h"

#define MAGIC 0x74726976 /* "virt" */
#define VERSION 2
#define VENDOR 0x67676e6f /* "ongg" */

struct virtio_mmio {
	struct virtio_device *dev;
	struct virtio_mmio_config config;
	struct virtio_mmio_state state;
};

/* --- what the device asks for --- */

static void raise_irq(struct virtio_mmio *mmio, uint32_t cause)
{
	mmio->state.interrupt_status |= cause;
	irq_line_raise(mmio->config.irq);
}

static void interrupt(void *transport, unsigned queue)
{
	(void)queue; /* all queues share one interrupt */
	raise_irq(transport, VIRTIO_MMIO_INT_VRING);
}

static void config_changed(void *transport)
{
	raise_irq(transport, VIRTIO_MMIO_INT_CONFIG);
}

static uint64_t notify_address(const struct virtio_mmio *mmio)
{
	return mmio->config.base + VIRTIO_MMIO_QUEUE_NOTIFY;
}

static int attach_kick(void *transport, unsigned queue, int fd)
{
	struct virtio_mmio *mmio = transport;

	if (!mmio->config.ioeventfds)
		return 0;
	return mmio->config.ioeventfds->attach(mmio->config.ioeventfd_ctx,
					       notify_address(mmio), queue, fd);
}

static void detach_kick(void *transport, unsigned queue, int fd)
{
	struct virtio_mmio *mmio = transport;

	if (mmio->config.ioeventfds)
		mmio->config.ioeventfds->detach(mmio->config.ioeventfd_ctx,
						notify_address(mmio), queue,
						fd);
}

static const struct virtio_transport_ops transport_ops = {
	.interrupt = interrupt,
	.config_changed = config_changed,
	.attach_kick = attach_kick,
	.detach_kick = detach_kick,
};

/* --- registers --- */

static uint32_t read_register(struct virtio_mmio *mmio, uint64_t offset)
{
	struct virtio_device *dev = mmio->dev;
	struct virtio_mmio_state *s = &mmio->state;
	struct virtqueue *vq = virtio_device_queue(dev, s->queue_sel);

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return dev->ops->device_id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return virtio_device_read_features(dev, s->device_features_sel);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return vq ? vq->size_max : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return vq ? vq->state.ready : 0;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return s->interrupt_status;
	case VIRTIO_MMIO_STATUS:
		return dev->status;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return dev->config_generation;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return 0xffffffff; /* 4.2.2.1: no such region */
	}
	return 0;
}

/* The high half of an address stands behind the low one, which is aligned. */
static unsigned half_of(uint64_t offset)
{
	return offset / 4 % 2;
}

static void write_queue(struct virtio_mmio *mmio, uint64_t offset,
			uint32_t value)
{
	struct virtqueue_state *s =
		virtio_device_queue_layout(mmio->dev, mmio->state.queue_sel);

	if (!s)
		return;
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		s->size = value > 0xffff ? 0 : (uint16_t)value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		virtio_set_half(&s->desc, half_of(offset), value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		virtio_set_half(&s->avail, half_of(offset), value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		virtio_set_half(&s->used, half_of(offset), value);
		break;
	}
}

static void write_register(struct virtio_mmio *mmio, uint64_t offset,
			   uint32_t value)
{
	struct virtio_device *dev = mmio->dev;
	struct virtio_mmio_state *s = &mmio->state;

	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		s->device_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		s->driver_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_device_write_features(dev, s->driver_features_sel,
					     value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		s->queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		virtio_device_write_ready(dev, s->queue_sel, value & 1);
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		virtio_device_kick(dev, value);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		s->interrupt_status &= ~value;
		break;
	case VIRTIO_MMIO_STATUS:
		virtio_device_write_status(dev, value);
		if (!value)
			*s = (struct virtio_mmio_state){ 0 };
		break;
	default:
		write_queue(mmio, offset, value);
	}
}

/* 4.2.2.2: registers are 32 bits wide; configuration space is not. */
static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
	struct virtio_mmio *mmio = opaque;

	if (offset >= VIRTIO_MMIO_CONFIG)
		return virtio_device_read_config(
			mmio->dev, offset - VIRTIO_MMIO_CONFIG, size);
	return size == 4 ? read_register(mmio, offset) : 0;
}

static void mmio_write(void *opaque, uint64_t offset, unsigned size,
		       uint64_t value)
{
	struct virtio_mmio *mmio = opaque;

	if (offset >= VIRTIO_MMIO_CONFIG)
		virtio_device_write_config(
			mmio->dev, offset - VIRTIO_MMIO_CONFIG, size, value);
	else if (size == 4)
		write_register(mmio, offset, (uint32_t)value);
}

const struct bus_ops virtio_mmio_bus_ops = {
	.read = mmio_read,
	.write = mmio_write,
};

/* --- state --- */

void virtio_mmio_save(const struct virtio_mmio *mmio,
		      struct virtio_mmio_state *state)
{
	*state = mmio->state;
}

void virtio_mmio_load(struct virtio_mmio *mmio,
		      const struct virtio_mmio_state *state)
{
	mmio->state = *state;
	mmio->state.interrupt_status &= VIRTIO_MMIO_INT_VRING |
					VIRTIO_MMIO_INT_CONFIG;
}

/* --- life --- */

struct virtio_mmio *virtio_mmio_create(struct virtio_device *dev,
				       const struct virtio_mmio_config *config,
				       struct error *err)
{
	struct virtio_mmio *mmio = calloc(1, sizeof(*mmio));

	if (!mmio) {
		error_set(err, ERROR_IO, ENOMEM, "virtio-mmio");
		return NULL;
	}
	mmio->dev = dev;
	mmio->config = *config;
	virtio_device_attach(dev, &transport_ops, mmio);
	return mmio;
}

void virtio_mmio_destroy(struct virtio_mmio *mmio)
{
	if (!mmio)
		return;
	virtio_device_detach(mmio->dev);
	free(mmio);
}
