/* An epoll loop that calls back when a file descriptor is ready.
 *
 * A source is embedded in its owner and points to the owner's mutex. The loop
 * holds that mutex while it calls ready(), so that a device's callback never
 * races with an access over the bus. Any thread that holds the mutex may add,
 * modify and remove the source; so may anybody before the loop runs. After
 * event_loop_remove(), ready() is not called again. The memory of the source may
 * then be freed if the caller is the loop's own thread or the loop has stopped.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/error.h"

struct event_loop;

struct event_source {
	int fd; /* the owner closes it */
	void (*ready)(struct event_source *source, uint32_t events);
	pthread_mutex_t *lock; /* held around ready; NULL for none */
	bool active;	       /* for the loop only: it has been added */
};

struct event_loop *event_loop_create(struct error *err);
void event_loop_destroy(struct event_loop *loop); /* NULL is fine */

/* events: EPOLLIN, EPOLLOUT and so on. 0 or -errno. Adding a source twice, or
 * removing one that was not added, does nothing. */
int event_loop_add(struct event_loop *loop, struct event_source *source,
		   uint32_t events);
int event_loop_modify(struct event_loop *loop, struct event_source *source,
		      uint32_t events);
void event_loop_remove(struct event_loop *loop, struct event_source *source);

/* Calls back until event_loop_stop(), which any thread may call, even before
 * the loop runs. */
void event_loop_run(struct event_loop *loop);
void event_loop_stop(struct event_loop *loop);
