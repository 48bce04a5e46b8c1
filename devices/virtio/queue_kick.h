/* Kicks of one virtqueue that arrive in the device's event loop: by an
 * ioeventfd, or because a turn ended with work left over. Or, by an ioeventfd,
 * where somebody else serves the queue.
 *
 * A transport embeds one per queue. All functions run under the device's
 * mutex.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "devices/virtio/virtio_device.h"

/* How a transport asks for ioeventfds: writes of the 32-bit value datum to
 * the guest physical address addr signal fd instead of leaving the kernel.
 * 0 or -errno. */
struct virtio_kick_ops {
	int (*attach)(void *ctx, uint64_t addr, uint32_t datum, int fd);
	void (*detach)(void *ctx, uint64_t addr, uint32_t datum, int fd);
};

struct queue_kick {
	struct event_source source; /* fd is an eventfd, -1 while closed */
	struct virtio_device *dev;
	unsigned queue;
	const struct virtio_kick_ops *ops; /* NULL while not attached */
	void *ctx;
	int fd; /* what is attached */
	uint64_t addr;
};

void queue_kick_init(struct queue_kick *kick, struct virtio_device *dev,
		     unsigned queue);

/* From now on kicks at addr arrive in the event loop, or at the device's own
 * eventfd where it has one (fd not -1). Where that cannot be had, it logs why,
 * and the kicks stay register writes. */
void queue_kick_attach(struct queue_kick *kick,
		       const struct virtio_kick_ops *ops, void *ctx,
		       uint64_t addr, int fd);

/* The device's own eventfd is another one, if kicks arrive at one at all; both
 * are open. */
void queue_kick_move(struct queue_kick *kick, int fd);

/* Has the event loop notify the device, as if the driver had kicked. False
 * when there is no descriptor left for it. */
bool queue_kick_again(struct queue_kick *kick);

/* Undoes attach and again; no notification comes after it. */
void queue_kick_close(struct queue_kick *kick);
