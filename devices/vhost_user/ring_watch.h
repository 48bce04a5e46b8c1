/* Keeps track of the requests of a virtqueue that are under way while a
 * vhost-user server serves it.
 *
 * When a server is lost, the rings alone do not tell which requests it had:
 * they end in any order, and the driver reuses the entries of those that ended.
 * So the rings are read at each interrupt of the server's, before the driver
 * learns of it and reuses entries. A driver that polls may reuse a whole ring
 * between two interrupts. The record is lost then, until nothing is under way.
 *
 * All functions run under the device's mutex.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "devices/virtio/virtqueue.h"

#define RING_WATCH_MAX 256 /* entries of the longest queue */

struct ring_watch {
	uint16_t avail; /* the rings have been read up to these entries */
	uint16_t used;
	bool lost; /* the record is incomplete */
	/* By head: how often it was made available and not used yet. */
	uint8_t given[RING_WATCH_MAX];
};

/* Starts a record with nothing under way, from these entries of the rings. */
void ring_watch_reset(struct ring_watch *watch, uint16_t avail, uint16_t used);

/* Reads what the rings have got since the last call. vq is started and has at
 * most RING_WATCH_MAX entries. */
void ring_watch_update(struct ring_watch *watch, const struct virtqueue *vq);

/* Whether the record is complete and has each request once. To be asked after
 * an update that was made when nobody served the queue any more. */
bool ring_watch_is_exact(const struct ring_watch *watch);

/* Removes one request from the record and returns its head; -1 when none is
 * left. */
int ring_watch_take(struct ring_watch *watch);
