/* Kicks of one virtqueue that arrive in the device's event loop: because an
 * ioeventfd was signalled, or because a turn ended with work left over. If a
 * server or the kernel serves the queue, the ioeventfd is theirs.
 *
 * A device embeds one per queue. All functions run under the device's lock.
 */
#pragma once

#include "base/event_loop.h"

struct virtio_device;

struct queue_kick {
	struct event_source source; /* fd is an eventfd; -1: not open */
	struct virtio_device *dev;
	unsigned queue;
	int attached; /* the eventfd that kicks signal; -1: none */
};

/* 0 or -errno, with nothing left open; queue_kick_close() takes either. */
int queue_kick_open(struct queue_kick *kick, struct virtio_device *dev,
		    unsigned queue);
void queue_kick_close(struct queue_kick *kick);

/* From now on kicks signal the eventfd that the device's kick_fd() returns, or
 * else arrive in the event loop. If they do already, nothing changes. If the
 * transport cannot do that, this logs why, and kicks still arrive at
 * virtio_device_kick(). */
void queue_kick_attach(struct queue_kick *kick);

/* Does the same anew, if kicks signal any eventfd. kick_fd() returns another
 * one than before; both are open. */
void queue_kick_move(struct queue_kick *kick);

/* Undoes attach and takes back what virtio_device_again() has asked for: no
 * notification comes after it. */
void queue_kick_stop(struct queue_kick *kick);
