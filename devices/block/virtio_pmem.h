/* Persistent memory device (virtio 1.2, section 5.19): a file in the guest's
 * address space, which the guest reads and writes without the device.
 *
 * The device tells the driver the place of that memory, and has one command: to
 * make durable what was written. Whoever creates the device maps the file into
 * the guest's address space.
 */
#pragma once

#include <stdint.h>

#include "devices/block/block_engine.h"
#include "devices/virtio/virtio_device.h"

#define VIRTIO_PMEM_QUEUE_SIZE 64
#define VIRTIO_PMEM_FLUSHES_MAX 16 /* under way at once; others wait */

struct virtio_pmem_options {
	uint64_t start; /* guest physical address of the first byte */
	uint64_t size;	/* bytes */
	int fd; /* the file, which stays the caller's and outlives the device;
		 * -1: nothing is made durable, and flushes end at once */
	block_engine_create_fn *engine_create; /* NULL: block_engine_create */
};

/* mem and loop outlive the device. NULL with err set when memory or descriptors
 * run out, or no engine can be had. */
struct virtio_device *
virtio_pmem_create(const struct virtio_pmem_options *options,
		   const struct guest_mem *mem, struct event_loop *loop,
		   struct error *err);
