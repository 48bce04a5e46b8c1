/* Limits a device's traffic to so many bytes and operations a second.
 *
 * There are two token buckets, each of which fills at its rate until it is
 * full. While both hold anything, the next request may pass, whatever its
 * size, and takes out all that it needs. It may leave a bucket in debt, which
 * has to be filled before anything else passes. So no request is too large,
 * and the device need not know the size of a request before it begins:
 *
 *	if (limiter->enabled && !rate_limiter_may(limiter))
 *		return;    leave the request: ready() is called later
 *	serve the request
 *	rate_limiter_take(limiter, bytes, 1);
 *
 * The device embeds a limiter and calls it under its own mutex. The timer is
 * opened at the start if there is a limit, so that a guest that uses up the
 * host's descriptors cannot lose its limits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/timer.h"

struct rate_limit {
	uint64_t rate;	/* bytes or operations a second; 0: no limit */
	uint64_t burst; /* size of the bucket; 0: what flows in 0.1 s */
};

struct rate_limits {
	struct rate_limit bytes, ops;
};

/* The level of a bucket, in the form of the time at which it will be full, or
 * has become full, if nothing more is taken. */
struct rate_bucket {
	uint64_t rate;
	uint64_t rest;	  /* less than a nanosecond, times rate */
	int64_t burst_ns; /* from empty to full */
	int64_t full_at;  /* on the limiter's clock */
};

struct rate_limiter {
	bool enabled; /* there is a limit */
	bool waiting; /* the timer is set, to call ready() */
	struct rate_bucket bytes, ops;
	int64_t (*clock)(void); /* nanoseconds, never backwards; tests set it */
	struct timer timer;	/* open if there is a limit */
	void (*ready)(struct rate_limiter *limiter);
};

/* Starts with full buckets. The loop calls ready(), under lock, once for all
 * requests that were told to wait since the last time. 0 or -errno. The limiter
 * may be destroyed in both cases. */
int rate_limiter_init(struct rate_limiter *limiter,
		      const struct rate_limits *limits, struct event_loop *loop,
		      pthread_mutex_t *lock,
		      void (*ready)(struct rate_limiter *limiter));
void rate_limiter_destroy(struct rate_limiter *limiter);

/* Whether a request may pass now. If not, ready() will be called. */
bool rate_limiter_may(struct rate_limiter *limiter);

/* Takes the size of a request that passes out of the buckets. */
void rate_limiter_take(struct rate_limiter *limiter, uint64_t bytes,
		       uint64_t ops);

/* Says that no request waits any more. ready() is not called before
 * rate_limiter_may() returns false again. */
void rate_limiter_cancel(struct rate_limiter *limiter);
