/* A timer that calls back from an event loop.
 *
 * It is embedded in its owner. Its descriptor is opened when the timer is
 * created, so that no later call can fail for want of one. As for any event
 * source, the loop holds `lock` while it calls ready(), and the other functions
 * are called with that lock held, or before the loop runs.
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

/* What a timer is before timer_open(): timer_close() may be called on it. */
#define TIMER_CLOSED            \
	(struct timer)          \
	{                       \
		.source.fd = -1 \
	}

/* 0 or -errno, with nothing left open. */
int timer_open(struct timer *timer, struct event_loop *loop,
	       pthread_mutex_t *lock, void (*ready)(struct timer *timer));

/* Calls ready() once after so many nanoseconds (0: at once), or every so many
 * seconds, instead of what was set before. */
void timer_set_ns(struct timer *timer, int64_t ns);
void timer_set_interval_s(struct timer *timer, unsigned seconds);

/* ready() is not called before the timer is set again. */
void timer_stop(struct timer *timer);
void timer_close(struct timer *timer);
