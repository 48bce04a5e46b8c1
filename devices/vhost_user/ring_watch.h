/* Which requests of a virtqueue are under way while another process serves it.
 *
 * Requests end in any order, and the driver writes over the entries of those
 * that ended: the rings alone do not tell what is left. So they are followed,
 * from each interrupt to the next, which is before the driver sees what ended
 * and gives more. A driver that sees it by itself and gives more than a ring's
 * worth in between cannot be followed; the count is then lost until nothing is
 * under way. Under the device's mutex.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "devices/virtio/virtqueue.h"

#define RING_WATCH_MAX 256 /* the longest queue that can be followed */

struct ring_watch {
	uint16_t avail; /* followed up to these entries */
	uint16_t used;
	bool lost;
	uint8_t given[RING_WATCH_MAX]; /* by head: made available, not used */
};

/* Nothing is under way; both rings go on from here. */
void ring_watch_reset(struct ring_watch *watch, uint16_t avail, uint16_t used);

/* Takes in what happened since. vq is started, with at most RING_WATCH_MAX
 * entries. */
void ring_watch_update(struct ring_watch *watch, const struct virtqueue *vq);

/* Whether what is under way is known, each request of it once: after an update
 * with nobody serving the queue any more. */
bool ring_watch_is_exact(const struct ring_watch *watch);

/* Takes one request that is under way off the list: its head, or -1 when there
 * is none left. */
int ring_watch_take(struct ring_watch *watch);
