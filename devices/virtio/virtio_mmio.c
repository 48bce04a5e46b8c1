#include "devices/virtio/virtio_mmio.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "base/le_types.h"

#define MAGIC 0x74726976 /* "virt" */
#define VERSION 2
#define VENDOR 0x67676e6f /* "ongg" */

/* Register state; what a snapshot keeps besides the device and its queues. */
struct virtio_mmio_state {
	uint32_t device_features_sel;
	uint32_t driver_features_sel;
	uint32_t queue_sel;
	uint32_t interrupt_status;
	uint32_t config_generation;
};

struct virtio_mmio {
	struct virtio_device *dev;
	struct virtio_mmio_config config;
	struct virtio_mmio_state state;
	struct queue_kick kicks[VIRTIO_QUEUES_MAX];
	struct queue_batch batches[VIRTIO_QUEUES_MAX];
};

static void interrupt(struct virtio_mmio *mmio, uint32_t cause)
{
	mmio->state.interrupt_status |= cause;
	irq_line_raise(mmio->config.irq);
}

static void queue_interrupt(void *transport)
{
	interrupt(transport, VIRTIO_MMIO_INT_VRING);
}

static void config_interrupt(void *transport)
{
	struct virtio_mmio *mmio = transport;

	mmio->state.config_generation++;
	/* 2.1.2: no notification before the driver is up */
	if (mmio->dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		interrupt(mmio, VIRTIO_MMIO_INT_CONFIG);
}

static bool queue_again(void *transport, unsigned queue)
{
	struct virtio_mmio *mmio = transport;

	return queue_kick_again(&mmio->kicks[queue]);
}

static void kick_fd_changed(void *transport, unsigned queue)
{
	struct virtio_mmio *mmio = transport;

	queue_kick_move(&mmio->kicks[queue],
			mmio->dev->ops->kick_fd(mmio->dev, queue));
}

static const struct virtio_transport_ops transport_ops = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
	.queue_again = queue_again,
	.kick_fd_changed = kick_fd_changed,
};

/* --- negotiation --- */

static void stop_queue(struct virtio_mmio *mmio, unsigned queue)
{
	struct virtio_device *dev = mmio->dev;

	queue_kick_close(&mmio->kicks[queue]);
	queue_batch_close(&mmio->batches[queue]);
	if (dev->ops->queue_stop)
		dev->ops->queue_stop(dev, queue);
	virtqueue_reset(&dev->queues[queue]);
}

static void reset(struct virtio_mmio *mmio)
{
	struct virtio_device *dev = mmio->dev;

	for (unsigned i = 0; i < dev->queue_count; i++)
		stop_queue(mmio, i);
	dev->status = 0;
	dev->driver_features = 0;
	mmio->state = (struct virtio_mmio_state){
		.config_generation = mmio->state.config_generation,
	};
}

/* Gives the queue's kicks a way around the registers. */
static void attach_kick(struct virtio_mmio *mmio, unsigned queue)
{
	struct virtio_device *dev = mmio->dev;
	int fd = dev->ops->kick_fd ? dev->ops->kick_fd(dev, queue) : -1;

	queue_kick_attach(&mmio->kicks[queue], mmio->config.kick_ops,
			  mmio->config.kick_ctx,
			  mmio->config.base + VIRTIO_MMIO_QUEUE_NOTIFY, fd);
}

static void activate(struct virtio_mmio *mmio)
{
	struct virtio_device *dev = mmio->dev;
	bool event_idx = virtio_has_feature(dev, VIRTIO_RING_F_EVENT_IDX);

	for (unsigned i = 0; i < dev->queue_count; i++) {
		struct virtqueue *vq = &dev->queues[i];

		if (vq->state.ready &&
		    virtqueue_start(vq, dev->mem, event_idx)) {
			virtio_device_broken(dev, "rings outside memory");
			return;
		}
	}
	if (dev->ops->activate && dev->ops->activate(dev)) {
		virtio_device_broken(dev, "could not start");
		return;
	}
	if (!mmio->config.kick_ops || dev->kick_inline)
		return;
	for (unsigned i = 0; i < dev->queue_count; i++)
		if (dev->queues[i].state.ready)
			attach_kick(mmio, i);
}

static bool features_ok(const struct virtio_device *dev)
{
	return !(dev->driver_features & ~dev->features) &&
	       virtio_has_feature(dev, VIRTIO_F_VERSION_1);
}

/* 2.1 and 3.1.1: bits are only ever added, and each step needs the last. */
static void write_status(struct virtio_mmio *mmio, uint32_t value)
{
	struct virtio_device *dev = mmio->dev;
	uint32_t added = value & ~dev->status;

	if (!value) {
		reset(mmio);
		return;
	}
	added &= VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
		 VIRTIO_CONFIG_S_FAILED;
	if ((added & VIRTIO_CONFIG_S_FEATURES_OK) && !features_ok(dev))
		added &= ~(uint32_t)VIRTIO_CONFIG_S_FEATURES_OK;
	if ((added & VIRTIO_CONFIG_S_DRIVER_OK) &&
	    !((dev->status | added) & VIRTIO_CONFIG_S_FEATURES_OK))
		added &= ~(uint32_t)VIRTIO_CONFIG_S_DRIVER_OK;
	dev->status |= added;
	if (added & VIRTIO_CONFIG_S_DRIVER_OK)
		activate(mmio);
}

static void write_driver_features(struct virtio_mmio *mmio, uint32_t value)
{
	struct virtio_device *dev = mmio->dev;
	unsigned shift = mmio->state.driver_features_sel ? 32 : 0;

	if (mmio->state.driver_features_sel > 1 ||
	    (dev->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return;
	dev->driver_features &= ~(0xffffffffULL << shift);
	dev->driver_features |= (uint64_t)value << shift;
}

/* --- registers --- */

static struct virtqueue *selected(struct virtio_mmio *mmio)
{
	if (mmio->state.queue_sel >= mmio->dev->queue_count)
		return NULL;
	return &mmio->dev->queues[mmio->state.queue_sel];
}

static void set_low(uint64_t *address, uint32_t value)
{
	*address = (*address & ~0xffffffffULL) | value;
}

static void set_high(uint64_t *address, uint32_t value)
{
	*address = (*address & 0xffffffffULL) | (uint64_t)value << 32;
}

/* A queue's layout may change only while it is not ready and the driver is
 * not up (4.2.2.2, 4.2.3.2). A driver that is up may stop a queue (4.2.2.2:
 * it writes 0 to QueueReady and reads that back); only a reset makes it ready
 * again. */
static void write_queue(struct virtio_mmio *mmio, uint64_t offset,
			uint32_t value)
{
	struct virtqueue *vq = selected(mmio);
	struct virtqueue_state *s;

	if (!vq)
		return;
	if (mmio->dev->status & VIRTIO_CONFIG_S_DRIVER_OK) {
		if (offset == VIRTIO_MMIO_QUEUE_READY && !(value & 1))
			stop_queue(mmio, mmio->state.queue_sel);
		return;
	}
	s = &vq->state;
	if (offset == VIRTIO_MMIO_QUEUE_READY) {
		s->ready = value & 1;
		return;
	}
	if (s->ready)
		return;
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		s->size = value > 0xffff ? 0 : (uint16_t)value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		set_low(&s->desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_high(&s->desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		set_low(&s->avail, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_high(&s->avail, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		set_low(&s->used, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_high(&s->used, value);
		break;
	}
}

static void config_write(struct virtio_device *dev, uint64_t offset,
			 unsigned size, uint64_t value)
{
	le64_t data = le64(value);

	if (dev->ops->config_write && offset < dev->config_size &&
	    size <= dev->config_size - offset)
		dev->ops->config_write(dev, offset, &data, size);
}

static uint64_t config_read(struct virtio_device *dev, uint64_t offset,
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

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
	struct virtio_mmio *mmio = opaque;
	struct virtio_device *dev = mmio->dev;
	struct virtqueue *vq = selected(mmio);

	if (offset >= VIRTIO_MMIO_CONFIG)
		return config_read(dev, offset - VIRTIO_MMIO_CONFIG, size);
	if (size != 4)
		return 0; /* 4.2.2.2: registers are 32 bits wide */
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
		if (mmio->state.device_features_sel > 1)
			return 0;
		return (uint32_t)(dev->features >>
				  32 * mmio->state.device_features_sel);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return vq ? vq->size_max : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return vq ? vq->state.ready : 0;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return mmio->state.interrupt_status;
	case VIRTIO_MMIO_STATUS:
		return dev->status;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return mmio->state.config_generation;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return 0xffffffff; /* 4.2.2.1: no such region */
	}
	return 0;
}

static void mmio_write(void *opaque, uint64_t offset, unsigned size,
		       uint64_t value64)
{
	struct virtio_mmio *mmio = opaque;
	uint32_t value = (uint32_t)value64;

	if (offset >= VIRTIO_MMIO_CONFIG) {
		config_write(mmio->dev, offset - VIRTIO_MMIO_CONFIG, size,
			     value64);
		return;
	}
	if (size != 4)
		return;
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		mmio->state.device_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		mmio->state.driver_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		write_driver_features(mmio, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		mmio->state.queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		if (value >= mmio->dev->queue_count)
			break;
		if (mmio->dev->kick_inline && mmio->dev->ops->batched)
			queue_batch_kick(&mmio->batches[value]);
		else
			virtio_device_notify(mmio->dev, value);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		mmio->state.interrupt_status &= ~value;
		break;
	case VIRTIO_MMIO_STATUS:
		write_status(mmio, value);
		break;
	default:
		write_queue(mmio, offset, value);
	}
}

const struct bus_ops virtio_mmio_bus_ops = {
	.read = mmio_read,
	.write = mmio_write,
};

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
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		queue_kick_init(&mmio->kicks[i], dev, i);
		queue_batch_init(&mmio->batches[i], dev, i);
	}
	dev->transport = mmio;
	dev->transport_ops = &transport_ops;
	return mmio;
}

void virtio_mmio_destroy(struct virtio_mmio *mmio)
{
	if (!mmio)
		return;
	reset(mmio);
	free(mmio);
}
