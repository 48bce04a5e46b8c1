#include "base/rate_limiter.h"

#include "base/clock.h"
#include "base/container_of.h"

#define SECOND 1000000000LL
#define DEFAULT_BURST (SECOND / 10)

/* Requests that wait do so until the bucket holds so much, or is full.
 * Otherwise the timer would have to ring for every single request. */
#define SLICE (SECOND / 200)

/* The longest time until a bucket is full. It keeps sums of times in range, and
 * lets a guest go on even if a limit was set far too low by mistake. */
#define LONGEST (3600 * SECOND)

/* --- buckets --- */

/* The time in which `amount` flows in. The rest, below a nanosecond, is added
 * next time. */
static int64_t time_for(struct rate_bucket *bucket, uint64_t amount)
{
	unsigned __int128 scaled =
		(unsigned __int128)amount * SECOND + bucket->rest;
	unsigned __int128 ns = scaled / bucket->rate;

	bucket->rest = (uint64_t)(scaled % bucket->rate);
	return ns < LONGEST ? (int64_t)ns : LONGEST;
}

static void bucket_init(struct rate_bucket *bucket,
			const struct rate_limit *limit, int64_t now)
{
	*bucket = (struct rate_bucket){ .rate = limit->rate, .full_at = now };
	if (!limit->rate)
		return;
	bucket->burst_ns = DEFAULT_BURST;
	if (limit->burst)
		bucket->burst_ns = time_for(bucket, limit->burst) + 1;
	bucket->rest = 0;
}

static void bucket_take(struct rate_bucket *bucket, uint64_t amount,
			int64_t now)
{
	if (!bucket->rate || !amount)
		return;
	if (bucket->full_at < now)
		bucket->full_at = now;
	bucket->full_at += time_for(bucket, amount);
	if (bucket->full_at > now + LONGEST)
		bucket->full_at = now + LONGEST;
}

/* The time until the bucket holds anything. 0 or less: it does. */
static int64_t bucket_wait(const struct rate_bucket *bucket, int64_t now)
{
	if (!bucket->rate)
		return 0;
	return bucket->full_at - bucket->burst_ns + 1 - now;
}

static int64_t slice_of(const struct rate_bucket *bucket)
{
	return bucket->burst_ns < SLICE ? bucket->burst_ns : SLICE;
}

/* --- the limiter --- */

static void on_timer(struct timer *timer)
{
	struct rate_limiter *limiter =
		container_of(timer, struct rate_limiter, timer);

	limiter->waiting = false;
	limiter->ready(limiter);
}

int rate_limiter_init(struct rate_limiter *limiter,
		      const struct rate_limits *limits, struct event_loop *loop,
		      pthread_mutex_t *lock,
		      void (*ready)(struct rate_limiter *limiter))
{
	int64_t now = clock_ns();

	*limiter = (struct rate_limiter){
		.enabled = limits->bytes.rate || limits->ops.rate,
		.clock = clock_ns,
		.timer = TIMER_CLOSED,
		.ready = ready,
	};
	bucket_init(&limiter->bytes, &limits->bytes, now);
	bucket_init(&limiter->ops, &limits->ops, now);
	if (!limiter->enabled)
		return 0;
	return timer_open(&limiter->timer, loop, lock, on_timer);
}

void rate_limiter_destroy(struct rate_limiter *limiter)
{
	timer_close(&limiter->timer);
}

bool rate_limiter_may(struct rate_limiter *limiter)
{
	int64_t now = limiter->clock();
	int64_t bytes = bucket_wait(&limiter->bytes, now);
	int64_t ops = bucket_wait(&limiter->ops, now);

	if (bytes <= 0 && ops <= 0)
		return true;
	if (limiter->waiting)
		return false;
	timer_set_ns(&limiter->timer,
		     bytes > ops ? bytes + slice_of(&limiter->bytes)
				 : ops + slice_of(&limiter->ops));
	limiter->waiting = true;
	return false;
}

void rate_limiter_take(struct rate_limiter *limiter, uint64_t bytes,
		       uint64_t ops)
{
	int64_t now = limiter->clock();

	bucket_take(&limiter->bytes, bytes, now);
	bucket_take(&limiter->ops, ops, now);
}

void rate_limiter_cancel(struct rate_limiter *limiter)
{
	if (!limiter->waiting)
		return;
	limiter->waiting = false;
	timer_stop(&limiter->timer);
}
