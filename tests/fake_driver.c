#include "tests/fake_driver.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/le_types.h"
#include "devices/virtio/virtio_negotiation.h"

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fake driver: %s\n", what);
	abort();
}

void fake_init(struct fake_driver *d)
{
	struct error err;

	memset(d, 0, sizeof(*d));
	d->ram = calloc(1, FAKE_RAM_SIZE);
	must(d->ram, "memory");
	d->next_alloc = FAKE_RAM_BASE;
	must(guest_mem_add(&d->mem, FAKE_RAM_BASE, FAKE_RAM_SIZE, d->ram) == 0,
	     "guest memory");
	guest_mem_share(&d->mem, STDOUT_FILENO, 0); /* any file's will do */
	d->loop = event_loop_create(&err);
	must(d->loop, "event loop");
	/* it stays stopped, so that each run dispatches one batch */
	event_loop_stop(d->loop);
	d->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	must(d->irq_fd >= 0, "eventfd");
}

void fake_attach(struct fake_driver *d, struct virtio_device *dev)
{
	struct virtio_mmio_config config = {
		.base = FAKE_MMIO_BASE,
		.irq = { .fd = d->irq_fd },
	};
	struct bus_range range = {
		.name = "virtio",
		.base = FAKE_MMIO_BASE,
		.size = VIRTIO_MMIO_WINDOW,
		.ops = &virtio_mmio_bus_ops,
		.lock = &dev->lock,
	};
	struct error err;

	d->dev = dev;
	d->mmio = virtio_mmio_create(dev, &config, &err);
	must(d->mmio, "transport");
	range.dev = d->mmio;
	d->bus.count = 0;
	must(bus_add(&d->bus, &range, &err) == 0, "bus");
}

void fake_attach_mock(struct fake_driver *d, struct virtio_device *dev,
		      struct mock_transport *transport)
{
	d->dev = dev;
	d->mock = transport;
	mock_transport_attach(transport, dev);
}

void fake_detach(struct fake_driver *d)
{
	virtio_mmio_destroy(d->mmio);
	d->mmio = NULL;
	if (d->mock)
		virtio_device_detach(d->dev);
	d->mock = NULL;
	d->bus.count = 0;
}

void fake_fini(struct fake_driver *d)
{
	event_loop_destroy(d->loop);
	close(d->irq_fd);
	free(d->ram);
}

uint64_t fake_alloc(struct fake_driver *d, size_t size, size_t align)
{
	uint64_t gpa = (d->next_alloc + align - 1) / align * align;

	d->next_alloc = gpa + size;
	must(d->next_alloc <= FAKE_RAM_BASE + FAKE_RAM_SIZE, "RAM is full");
	return gpa;
}

void *fake_ptr(struct fake_driver *d, uint64_t gpa)
{
	must(gpa - FAKE_RAM_BASE < FAKE_RAM_SIZE, "address outside RAM");
	return d->ram + (gpa - FAKE_RAM_BASE);
}

uint32_t fake_read(struct fake_driver *d, uint64_t offset)
{
	le32_t value;

	bus_read(&d->bus, FAKE_MMIO_BASE + offset, &value, sizeof(value));
	return le32_get(value);
}

void fake_write(struct fake_driver *d, uint64_t offset, uint32_t value)
{
	le32_t data = le32(value);

	bus_write(&d->bus, FAKE_MMIO_BASE + offset, &data, sizeof(data));
}

uint64_t fake_config(struct fake_driver *d, uint64_t offset, unsigned size)
{
	le64_t value = le64(0);

	bus_read(&d->bus, FAKE_MMIO_BASE + VIRTIO_MMIO_CONFIG + offset, &value,
		 size);
	return le64_get(value);
}

static uint32_t read_status(struct fake_driver *d)
{
	return d->mmio ? fake_read(d, VIRTIO_MMIO_STATUS) : d->dev->status;
}

static void write_status(struct fake_driver *d, uint32_t value)
{
	if (d->mmio)
		fake_write(d, VIRTIO_MMIO_STATUS, value);
	else
		virtio_device_write_status(d->dev, value);
}

static void write_features(struct fake_driver *d, uint32_t word, uint32_t value)
{
	if (!d->mmio) {
		virtio_device_write_features(d->dev, word, value);
		return;
	}
	fake_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
	fake_write(d, VIRTIO_MMIO_DRIVER_FEATURES, value);
}

bool fake_negotiate(struct fake_driver *d, uint64_t features)
{
	uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	features |= 1ULL << VIRTIO_F_VERSION_1;
	write_status(d, 0);
	write_status(d, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	write_status(d, status);
	for (uint32_t word = 0; word < 2; word++)
		write_features(d, word, (uint32_t)(features >> 32 * word));
	write_status(d, status | VIRTIO_CONFIG_S_FEATURES_OK);
	return read_status(d) & VIRTIO_CONFIG_S_FEATURES_OK;
}

static void call_announce_queue(struct fake_driver *d, unsigned queue)
{
	const struct fake_queue *q = &d->queues[queue];
	struct virtqueue_state *layout =
		virtio_device_queue_layout(d->dev, queue);

	must(layout, "no queue");
	layout->size = q->size;
	layout->desc = q->desc;
	layout->avail = q->avail;
	layout->used = q->used;
	virtio_device_write_ready(d->dev, queue, true);
}

void fake_announce_queue(struct fake_driver *d, unsigned queue)
{
	const struct fake_queue *q = &d->queues[queue];

	if (!d->mmio) {
		call_announce_queue(d, queue);
		return;
	}
	fake_write(d, VIRTIO_MMIO_QUEUE_SEL, queue);
	fake_write(d, VIRTIO_MMIO_QUEUE_NUM, q->size);
	fake_write(d, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)q->desc);
	fake_write(d, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(q->desc >> 32));
	fake_write(d, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)q->avail);
	fake_write(d, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (uint32_t)(q->avail >> 32));
	fake_write(d, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)q->used);
	fake_write(d, VIRTIO_MMIO_QUEUE_USED_HIGH, (uint32_t)(q->used >> 32));
	fake_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
}

void fake_setup_queue(struct fake_driver *d, unsigned queue, uint16_t size)
{
	struct fake_queue *q = &d->queues[queue];

	*q = (struct fake_queue){ .size = size };
	q->desc = fake_alloc(d, 16 * (size_t)size, 16);
	q->avail = fake_alloc(d, 6 + 2 * (size_t)size, 2);
	q->used = fake_alloc(d, 6 + 8 * (size_t)size, 4);
	memset(fake_ptr(d, q->avail), 0, 6 + 2 * (size_t)size);
	memset(fake_ptr(d, q->used), 0, 6 + 8 * (size_t)size);
	fake_announce_queue(d, queue);
}

void fake_driver_ok(struct fake_driver *d)
{
	write_status(d, read_status(d) | VIRTIO_CONFIG_S_DRIVER_OK);
}

void fake_start(struct fake_driver *d, uint64_t features, uint16_t size)
{
	must(fake_negotiate(d, features), "features refused");
	for (unsigned i = 0; i < d->dev->queue_count; i++)
		fake_setup_queue(d, i, size);
	fake_driver_ok(d);
}

bool fake_needs_reset(struct fake_driver *d)
{
	return read_status(d) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

void fake_desc(struct fake_driver *d, uint64_t table, unsigned index,
	       uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	uint8_t *entry = fake_ptr(d, table + 16 * (uint64_t)index);
	le64_t le_addr = le64(addr);
	le32_t le_len = le32(len);
	le16_t rest[2] = { le16(flags), le16(next) };

	memcpy(entry, &le_addr, 8);
	memcpy(entry + 8, &le_len, 4);
	memcpy(entry + 12, rest, 4);
}

static void put16(struct fake_driver *d, uint64_t gpa, uint16_t value)
{
	le16_t data = le16(value);

	memcpy(fake_ptr(d, gpa), &data, sizeof(data));
}

static uint32_t get(struct fake_driver *d, uint64_t gpa, unsigned size)
{
	le32_t data = le32(0);

	memcpy(&data, fake_ptr(d, gpa), size);
	return le32_get(data);
}

void fake_set_avail_idx(struct fake_driver *d, unsigned queue, uint16_t idx)
{
	d->queues[queue].avail_idx = idx;
	put16(d, d->queues[queue].avail + 2, idx);
}

void fake_make_available(struct fake_driver *d, unsigned queue, uint16_t head)
{
	struct fake_queue *q = &d->queues[queue];

	put16(d, q->avail + 4 + 2 * (q->avail_idx % q->size), head);
	fake_set_avail_idx(d, queue, (uint16_t)(q->avail_idx + 1));
}

uint16_t fake_add(struct fake_driver *d, unsigned queue,
		  const struct fake_buffer *buffers, unsigned outs,
		  unsigned ins)
{
	struct fake_queue *q = &d->queues[queue];
	uint16_t head = q->next_desc;

	for (unsigned i = 0; i < outs + ins; i++) {
		uint16_t at = q->next_desc;
		uint16_t flags = i < outs ? 0 : FAKE_WRITE;

		q->next_desc = (uint16_t)((at + 1) % q->size);
		if (i + 1 < outs + ins)
			flags |= FAKE_NEXT;
		fake_desc(d, q->desc, at, buffers[i].gpa, buffers[i].len, flags,
			  q->next_desc);
	}
	fake_make_available(d, queue, head);
	return head;
}

void fake_kick(struct fake_driver *d, unsigned queue)
{
	if (d->mmio)
		fake_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
	else
		virtio_device_kick(d->dev, queue);
}

uint16_t fake_used_idx(struct fake_driver *d, unsigned queue)
{
	return (uint16_t)get(d, d->queues[queue].used + 2, 2);
}

bool fake_get_used(struct fake_driver *d, unsigned queue, uint32_t *head,
		   uint32_t *len)
{
	struct fake_queue *q = &d->queues[queue];
	uint64_t entry = q->used + 4 + 8 * (uint64_t)(q->used_seen % q->size);

	if (q->used_seen == fake_used_idx(d, queue))
		return false;
	*head = get(d, entry, 4);
	*len = get(d, entry + 4, 4);
	q->used_seen++;
	return true;
}

uint64_t fake_interrupts(struct fake_driver *d)
{
	uint64_t count;

	if (read(d->irq_fd, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

void fake_run_loop(struct fake_driver *d)
{
	event_loop_run(d->loop);
}
