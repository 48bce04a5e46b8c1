/* The virtio-mmio transport, version 2 (virtio 1.2, section 4.2).
 *
 * One window of registers per device. The bus calls under the device's lock.
 * Kicks come as register writes or, for devices that want them in their event
 * loop, through one ioeventfd per queue, which exist only while the driver is
 * up.
 */
#pragma once

#include <stdint.h>

#include "base/bus.h"
#include "base/irq_line.h"
#include "devices/virtio/virtio_device.h"

#define VIRTIO_MMIO_WINDOW 0x1000 /* bytes of guest address space */

extern const struct bus_ops virtio_mmio_bus_ops;

/* How a transport gets ioeventfds: writes of the 32-bit value datum to the
 * guest physical address addr signal fd instead of leaving the kernel. attach
 * returns 0 or -errno. */
struct virtio_kick_ops {
	int (*attach)(void *ctx, uint64_t addr, uint32_t datum, int fd);
	void (*detach)(void *ctx, uint64_t addr, uint32_t datum, int fd);
};

struct virtio_mmio_config {
	uint64_t base; /* guest physical address of the window */
	struct irq_line irq;
	const struct virtio_kick_ops *kick_ops; /* NULL: no ioeventfds */
	void *kick_ctx;
};

struct virtio_mmio;

/* dev outlives the transport. NULL with err set when memory runs out. */
struct virtio_mmio *virtio_mmio_create(struct virtio_device *dev,
				       const struct virtio_mmio_config *config,
				       struct error *err);

/* Resets the device first. vCPUs and the event loop have stopped. NULL is
 * fine. */
void virtio_mmio_destroy(struct virtio_mmio *mmio);
