/* Persistent memory device (virtio 1.2, section 5.19): a file that the guest
 * has in its address space, and reads and writes without asking anybody.
 *
 * The device tells where that is, and has one command: make what was written
 * durable. Whoever creates the device maps the file and shows it to the guest.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "devices/block/block_engine.h"
#include "devices/virtio/virtio_device.h"

#define VIRTIO_PMEM_QUEUE_SIZE 64
#define VIRTIO_PMEM_FLUSHES_MAX 16 /* under way at a time; others wait */

struct virtio_pmem_options {
	uint64_t start; /* guest physical address of the first byte */
	uint64_t size;	/* bytes */
	int fd; /* the file, the caller's; -1: nothing is ever durable, and
		 * flushes are done at once */
	block_engine_create_fn *engine_create; /* NULL: block_engine_create */
};

/* mem and loop outlive the device. NULL with err set on failure. */
struct virtio_device *
virtio_pmem_create(const struct virtio_pmem_options *options,
		   const struct guest_mem *mem, struct event_loop *loop,
		   struct error *err);

/* The transport is gone. Waits for flushes under way. NULL is fine. */
void virtio_pmem_destroy(struct virtio_device *dev);
