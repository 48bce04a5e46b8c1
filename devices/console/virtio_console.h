/* Console device (virtio 1.2, section 5.3): one port, Linux's /dev/hvc0.
 *
 * Output goes to the backend straight from the guest's buffers, in the vCPU's
 * thread: Linux's driver waits for each buffer with interrupts off, so that the
 * vCPU could do nothing else meanwhile. A chain that the backend has not taken
 * wholly stays in the ring, and the device remembers how much of it has gone
 * out.
 *
 * Linux throws away input that arrives while it sets the device up, and never
 * reads again after that. The device therefore gives it no input before it is
 * ready. It is ready when it prints, or when it reads the size of the terminal
 * (VIRTIO_CONSOLE_F_SIZE): at DRIVER_OK the device announces a change of the
 * size, which Linux attends to once the device is set up. A size of 0 by 0
 * stands for one that is not known.
 *
 * A driver may also write single characters without any queue
 * (VIRTIO_CONSOLE_F_EMERG_WRITE). One that the backend does not take is lost.
 */
#pragma once

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
