/* A timer that calls back from an event loop.
 *
 * It is embedded in its owner. timer_open() opens its descriptor, so that no
 * later call can fail. As with any event source, the loop holds `lock` while it
 * calls ready(). The other functions are called with that lock held, or before
 * the loop runs.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "base/event_loop.h"

struct timer {
	struct event_source source; /* fd is a timerfd; -1: not open */
	struct event_loop *loop;
	void (*ready)(struct timer *timer);
};

/* The value of a timer before timer_open(). timer_close() accepts it. */
#define TIMER_CLOSED            \
	(struct timer)          \
	{                       \
		.source.fd = -1 \
	}

/* 0 or -errno. After an error, nothing is open. */
int timer_open(struct timer *timer, struct event_loop *loop,
	       pthread_mutex_t *lock, void (*ready)(struct timer *timer));

/* ready() is called once after so many nanoseconds (0: at once), or every so
 * many seconds. This replaces what was set before. */
void timer_set_ns(struct timer *timer, int64_t ns);
void timer_set_interval_s(struct timer *timer, unsigned seconds);

/* ready() is not called before the timer is set again. */
void timer_stop(struct timer *timer);
void timer_close(struct timer *timer);
