/* The virtio-mmio transport, version 2 (virtio 1.2, section 4.2).
 *
 * One window of registers per device. The bus calls under the device's lock.
 * Kicks come as register writes or, for devices that want them in their event
 * loop, through one ioeventfd per queue, which exist only while the driver is
 * up.
 */
#pragma once

#include <assert.h>
#include <stdint.h>

#include "base/bus.h"
#include "base/ioeventfd.h"
#include "base/irq_line.h"
#include "devices/virtio/virtio_device.h"

#define VIRTIO_MMIO_WINDOW 0x1000 /* bytes of guest address space */

extern const struct bus_ops virtio_mmio_bus_ops;

struct virtio_mmio_config {
	uint64_t base; /* guest physical address of the window */
	struct irq_line irq;
	const struct ioeventfd_ops *ioeventfds; /* NULL: none */
	void *ioeventfd_ctx;
};

struct virtio_mmio;

/* State saved in a snapshot, beside that of the device (virtio_state.h). */
struct virtio_mmio_state {
	uint32_t device_features_sel;
	uint32_t driver_features_sel;
	uint32_t queue_sel;
	uint32_t interrupt_status;
};
static_assert(sizeof(struct virtio_mmio_state) == 16, "saved in snapshots");

/* dev outlives the transport. NULL with err set when memory runs out. */
struct virtio_mmio *virtio_mmio_create(struct virtio_device *dev,
				       const struct virtio_mmio_config *config,
				       struct error *err);

/* Copies the state out of the transport of a quiesced device, or into a fresh
 * one. Any state will do. Under the device's lock. */
void virtio_mmio_save(const struct virtio_mmio *mmio,
		      struct virtio_mmio_state *state);
void virtio_mmio_load(struct virtio_mmio *mmio,
		      const struct virtio_mmio_state *state);

/* Resets the device first. vCPUs and the event loop have stopped. NULL is
 * fine. */
void virtio_mmio_destroy(struct virtio_mmio *mmio);
