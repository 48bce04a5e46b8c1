/* Console device (virtio 1.2, section 5.3): one port, Linux's /dev/hvc0.
 *
 * Output goes to the backend straight from the guest's buffers, and in the
 * vCPU's thread: Linux's driver waits for each buffer with interrupts off, so
 * that there is nothing else the vCPU could do meanwhile. What the backend does
 * not take stays in the ring; how much of a chain has gone out is all that the
 * device remembers of it, and no buffer is used before all of it has.
 *
 * Linux throws input away that comes while it still sets the device up, and
 * then finds no more. So it is given some once it has printed, or has read the
 * terminal's size when told of a change of that (VIRTIO_CONSOLE_F_SIZE), as it
 * is when it says DRIVER_OK: Linux keeps such news until it is done. 0 by 0
 * stands for a size that is not known.
 *
 * A driver may also write single characters without any queue
 * (VIRTIO_CONSOLE_F_EMERG_WRITE); what the backend does not take of these is
 * lost.
 */
#pragma once

#include "base/error.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "devices/console/console_port.h"
#include "devices/virtio/virtio_device.h"

#define VIRTIO_CONSOLE_RX 0 /* queues */
#define VIRTIO_CONSOLE_TX 1
#define VIRTIO_CONSOLE_QUEUE_SIZE 16

struct virtio_console_options {
	const struct console_backend *backend;
	void *backend_ctx;
};

/* backend, its ctx, mem and loop outlive the device. NULL with err set without
 * memory. */
struct virtio_device *
virtio_console_create(const struct virtio_console_options *options,
		      const struct guest_mem *mem, struct event_loop *loop,
		      struct error *err);

/* For the host's end; valid as long as the device. */
struct console_port virtio_console_port(struct virtio_device *dev);
