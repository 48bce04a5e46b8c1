/* The guest side of a virtio device, in plain memory: for unit tests and
 * fuzzers. Behind virtio-mmio, registers go over a bus, as from a vCPU; behind
 * the mock transport, the device is called. Rings and buffers lie in malloc'd
 * "RAM". Kicks are register writes; the event loop runs when a test says so.
 * One thread. Failures of the host abort.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bus.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "devices/virtio/virtio_device.h"
#include "devices/virtio/virtio_mmio.h"
#include "tests/mock_transport.h"

#define FAKE_RAM_BASE 0x100000ULL /* guest physical address */
#define FAKE_RAM_SIZE (1u << 20)
#define FAKE_MMIO_BASE 0xd0000000ULL

#define FAKE_NEXT 1 /* descriptor flags */
#define FAKE_WRITE 2
#define FAKE_INDIRECT 4

struct fake_queue {
	uint16_t size;
	uint64_t desc, avail, used; /* guest physical */
	uint16_t next_desc;
	uint16_t avail_idx;
	uint16_t used_seen;
};

struct fake_driver {
	uint8_t *ram;
	uint64_t next_alloc;
	struct guest_mem mem;
	struct event_loop *loop;
	struct bus bus;
	int irq_fd;
	struct virtio_device *dev;
	struct virtio_mmio *mmio; /* the transport: one of these two */
	struct mock_transport *mock;
	struct fake_queue queues[VIRTIO_QUEUES_MAX];
};

struct fake_buffer {
	uint64_t gpa;
	uint32_t len;
};

void fake_init(struct fake_driver *d);
/* Puts dev behind virtio-mmio, or behind the mock transport. */
void fake_attach(struct fake_driver *d, struct virtio_device *dev);
void fake_attach_mock(struct fake_driver *d, struct virtio_device *dev,
		      struct mock_transport *transport);
/* Takes the transport away; the device is the caller's to destroy. */
void fake_detach(struct fake_driver *d);
void fake_fini(struct fake_driver *d);

/* Memory that stays allocated until fake_init(). */
uint64_t fake_alloc(struct fake_driver *d, size_t size, size_t align);
void *fake_ptr(struct fake_driver *d, uint64_t gpa);

/* Registers of virtio-mmio, by offset (VIRTIO_MMIO_*). */
uint32_t fake_read(struct fake_driver *d, uint64_t offset);
void fake_write(struct fake_driver *d, uint64_t offset, uint32_t value);
uint64_t fake_config(struct fake_driver *d, uint64_t offset, unsigned size);

/* Reset, ACKNOWLEDGE, DRIVER, features and VERSION_1, FEATURES_OK; returns
 * whether the device kept FEATURES_OK. */
bool fake_negotiate(struct fake_driver *d, uint64_t features);
/* Allocates and announces a queue of the given size. */
void fake_setup_queue(struct fake_driver *d, unsigned queue, uint16_t size);
/* Announces queues[queue] as it is. */
void fake_announce_queue(struct fake_driver *d, unsigned queue);
void fake_driver_ok(struct fake_driver *d);
/* All of the above, every queue with `size` entries. */
void fake_start(struct fake_driver *d, uint64_t features, uint16_t size);
bool fake_needs_reset(struct fake_driver *d);

/* Writes one entry of a descriptor table at gpa. */
void fake_desc(struct fake_driver *d, uint64_t table, unsigned index,
	       uint64_t addr, uint32_t len, uint16_t flags, uint16_t next);
/* Makes a descriptor chain available: outs readable ones, then ins. Returns
 * its head. */
uint16_t fake_add(struct fake_driver *d, unsigned queue,
		  const struct fake_buffer *buffers, unsigned outs,
		  unsigned ins);
/* Makes a head available as it is. */
void fake_make_available(struct fake_driver *d, unsigned queue, uint16_t head);
void fake_set_avail_idx(struct fake_driver *d, unsigned queue, uint16_t idx);
void fake_kick(struct fake_driver *d, unsigned queue);
/* Takes the next used element; false when there is none. */
bool fake_get_used(struct fake_driver *d, unsigned queue, uint32_t *head,
		   uint32_t *len);
uint16_t fake_used_idx(struct fake_driver *d, unsigned queue);

/* Edges since the last call. */
uint64_t fake_interrupts(struct fake_driver *d);

/* Lets the event loop dispatch what is ready now. */
void fake_run_loop(struct fake_driver *d);
