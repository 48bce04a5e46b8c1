/* Holds a device's traffic down to so many bytes and operations a second.
 *
 * Two token buckets, each of which fills at its rate until it is full. While
 * there is anything in both, the next request may pass, whatever its size, and
 * takes out all that it needs: a bucket may be left in debt, which is paid
 * back before anything else passes. So no request is too large to pass ever,
 * and nobody has to know a request's size before taking it in hand:
 *
 *	if (limiter->enabled && !rate_limiter_may(limiter))
 *		return;    leave it where it is: ready() comes when it may
 *	take it in hand
 *	rate_limiter_take(limiter, bytes, 1);
 *
 * Under the mutex of the device, which embeds one. Costs nothing where no
 * limit is set. The timer of a limit that is set is opened with it, so that a
 * guest that uses up descriptors keeps its limits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/timer.h"

struct rate_limit {
	uint64_t rate;	/* a second; 0: no limit */
	uint64_t burst; /* a bucketful; 0: a tenth of a second's */
};

struct rate_limits {
	struct rate_limit bytes, ops;
};

/* Its level is kept as a moment: the one when the bucket will be full, or was,
 * if nothing more is taken. */
struct rate_bucket {
	uint64_t rate;
	uint64_t rest;	  /* nanoseconds times rate, below one nanosecond */
	int64_t burst_ns; /* from empty to full */
	int64_t full_at;  /* on the limiter's clock */
};

struct rate_limiter {
	bool enabled; /* there is a limit */
	bool waiting; /* rate_limiter_may() said no, and ready() is to come */
	struct rate_bucket bytes, ops;
	int64_t (*clock)(void); /* nanoseconds, never backwards; tests set it */
	struct timer timer;	/* open if there is a limit */
	void (*ready)(struct rate_limiter *limiter);
};

/* Starts with full buckets. ready() is called from the loop, under lock, once
 * for all requests that were told to wait since it was last called. 0 or
 * -errno; either way the limiter may be destroyed. */
int rate_limiter_init(struct rate_limiter *limiter,
		      const struct rate_limits *limits, struct event_loop *loop,
		      pthread_mutex_t *lock,
		      void (*ready)(struct rate_limiter *limiter));
void rate_limiter_destroy(struct rate_limiter *limiter);

/* Whether a request may pass now; if not, ready() will be called. */
bool rate_limiter_may(struct rate_limiter *limiter);

/* Takes what passes, in debt or not. */
void rate_limiter_take(struct rate_limiter *limiter, uint64_t bytes,
		       uint64_t ops);

/* Nobody waits any more: ready() is not called before rate_limiter_may() has
 * said no again. */
void rate_limiter_cancel(struct rate_limiter *limiter);
