/* An epoll loop that calls back when a file descriptor is ready.
 *
 * A source is embedded in its owner and names the owner's mutex; the loop
 * holds that mutex while it calls `ready`, so a device's callback never races
 * with its bus accesses. add, modify and remove may be called from any
 * thread that holds the source's mutex (or before the loop runs). After
 * event_loop_remove() returns, `ready` is not called again; the memory of the
 * source may be freed at once only when the caller is the loop's own thread
 * or the loop has stopped.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/error.h"

struct event_loop;

struct event_source {
	int fd; /* the owner's; not closed here */
	void (*ready)(struct event_source *source, uint32_t events);
	pthread_mutex_t *lock; /* held around ready; NULL for none */
	bool active;	       /* the loop's: registered now */
};

struct event_loop *event_loop_create(struct error *err);
void event_loop_destroy(struct event_loop *loop); /* NULL is fine */

/* events: EPOLLIN, EPOLLOUT and so on. 0 or -errno. Adding an active source
 * or removing an inactive one does nothing. */
int event_loop_add(struct event_loop *loop, struct event_source *source,
		   uint32_t events);
int event_loop_modify(struct event_loop *loop, struct event_source *source,
		      uint32_t events);
void event_loop_remove(struct event_loop *loop, struct event_source *source);

/* Dispatches until event_loop_stop(), which any thread may call, also before
 * the loop runs. */
void event_loop_run(struct event_loop *loop);
void event_loop_stop(struct event_loop *loop);
