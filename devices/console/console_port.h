/* The seam between a console device of the guest (a serial port, a virtio
 * console) and the host's end of it.
 *
 * Neither knows the other: the device is created with a backend, and the host's
 * end gets the device as a port. All functions are called under the device's
 * mutex, from a vCPU thread or the event loop, and none blocks.
 */
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* What the device asks of the host's end. */
struct console_backend {
	/* Takes bytes that the guest sent, 1 or more, and returns how many it
	 * took. If it took fewer than all, the device does not call it again
	 * before the port's resume(). */
	size_t (*put)(void *ctx, struct iovec *iov, unsigned count);

	/* The guest takes input again, after receive() took fewer bytes than it
	 * was offered. May call receive(). */
	void (*room)(void *ctx);
};

/* What the host's end asks of the device. */
struct console_port_ops {
	/* Gives input to the guest; returns how many bytes it takes now. */
	size_t (*receive)(void *dev, const uint8_t *data, size_t len);

	/* put() takes bytes again. */
	void (*resume)(void *dev);

	/* The terminal has this size, in characters. NULL for a device that
	 * cannot tell its guest. */
	void (*resize)(void *dev, uint16_t columns, uint16_t rows);
};

struct console_port {
	const struct console_port_ops *ops;
	void *dev;
	pthread_mutex_t *lock; /* the device's */
};
