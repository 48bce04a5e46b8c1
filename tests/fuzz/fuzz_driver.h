/* The driver's side that every device fuzzer needs: a transport, and rings of
 * 16 entries, or as many as the device has, at fixed places of the guest memory
 * that is the input.
 */
#pragma once

#include <linux/virtio_mmio.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "devices/virtio/virtio_mmio.h"
#include "tests/fuzz/fuzz_ram.h"

/* Descriptors of queue n; its avail ring is 0x100 further on, its used ring
 * 0x180. */
#define FUZZ_RING(n) (FUZZ_RAM_BASE + 0x280ULL * (n))

static inline void fuzz_write_register(struct virtio_mmio *mmio,
				       uint64_t offset, uint32_t value)
{
	virtio_mmio_bus_ops.write(mmio, offset, 4, value);
}

/* A loop that dispatches one batch each time it runs. */
static inline struct event_loop *fuzz_loop(void)
{
	static struct event_loop *loop;
	struct error err;

	if (!loop) {
		log_set_level(LOG_ERROR);
		loop = event_loop_create(&err);
		event_loop_stop(loop);
	}
	return loop;
}

static inline struct virtio_mmio *fuzz_attach(struct virtio_device *dev)
{
	static int irq_fd = -1;
	struct virtio_mmio_config config = { 0 };
	struct error err;

	if (irq_fd < 0)
		irq_fd = eventfd(0, EFD_NONBLOCK);
	config.irq.fd = irq_fd;
	return virtio_mmio_create(dev, &config, &err);
}

/* features: those that the driver takes beside VERSION_1. */
static inline void fuzz_bring_up(struct virtio_mmio *mmio, uint32_t queues,
				 uint64_t features)
{
	fuzz_write_register(mmio, VIRTIO_MMIO_STATUS, 3);
	fuzz_write_register(mmio, VIRTIO_MMIO_DRIVER_FEATURES,
			    (uint32_t)features);
	fuzz_write_register(mmio, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	fuzz_write_register(mmio, VIRTIO_MMIO_DRIVER_FEATURES,
			    (uint32_t)(features >> 32) | 1);
	fuzz_write_register(mmio, VIRTIO_MMIO_STATUS, 11);
	for (uint32_t i = 0; i < queues; i++) {
		uint32_t ring = (uint32_t)FUZZ_RING(i);
		uint64_t max;

		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_SEL, i);
		max = virtio_mmio_bus_ops.read(mmio, VIRTIO_MMIO_QUEUE_NUM_MAX,
					       4);
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_NUM,
				    max < 16 ? (uint32_t)max : 16);
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_DESC_LOW, ring);
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_AVAIL_LOW,
				    ring + 0x100);
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_USED_LOW,
				    ring + 0x180);
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	fuzz_write_register(mmio, VIRTIO_MMIO_STATUS, 15);
}
