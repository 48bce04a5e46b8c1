#include "base/rate_limiter.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/log.h"

#define SECOND 1000000000LL
#define DEFAULT_BURST (SECOND / 10)

/* Who waits does so until there is this much in the bucket, or all it holds,
 * lest the timer comes for every single request. */
#define SLICE (SECOND / 200)

/* The longest way to full: keeps sums of times in range, and a limit that was
 * set by mistake from stopping a guest for good. */
#define LONGEST (3600 * SECOND)

static int64_t monotonic_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

/* --- buckets --- */

/* How long `amount` takes to flow in; what is below a nanosecond counts next
 * time. */
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

/* How long until there is anything in it; 0 or less: there is. */
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

static void timer_ready(struct event_source *source, uint32_t events)
{
	struct rate_limiter *limiter =
		container_of(source, struct rate_limiter, timer);
	uint64_t count;

	(void)events;
	/* it may have been stopped since it rang */
	if (read(source->fd, &count, sizeof(count)) < 0)
		return;
	limiter->waiting = false;
	limiter->ready(limiter);
}

void rate_limiter_init(struct rate_limiter *limiter,
		       const struct rate_limits *limits,
		       struct event_loop *loop, pthread_mutex_t *lock,
		       void (*ready)(struct rate_limiter *limiter))
{
	int64_t now = monotonic_clock();

	*limiter = (struct rate_limiter){
		.enabled = limits->bytes.rate || limits->ops.rate,
		.clock = monotonic_clock,
		.loop = loop,
		.timer = { .fd = -1, .ready = timer_ready, .lock = lock },
		.ready = ready,
	};
	bucket_init(&limiter->bytes, &limits->bytes, now);
	bucket_init(&limiter->ops, &limits->ops, now);
}

void rate_limiter_destroy(struct rate_limiter *limiter)
{
	if (limiter->timer.fd < 0)
		return;
	event_loop_remove(limiter->loop, &limiter->timer);
	close(limiter->timer.fd);
	limiter->timer.fd = -1;
}

static int timer_open(struct rate_limiter *limiter)
{
	int ret;

	if (limiter->timer.fd >= 0)
		return 0;
	limiter->timer.fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (limiter->timer.fd < 0)
		return -errno;
	ret = event_loop_add(limiter->loop, &limiter->timer, EPOLLIN);
	if (ret)
		rate_limiter_destroy(limiter);
	return ret;
}

static int timer_set(struct rate_limiter *limiter, int64_t ns)
{
	struct itimerspec when = {
		.it_value = { .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND },
	};
	int ret = timer_open(limiter);

	if (ret == 0 && timerfd_settime(limiter->timer.fd, 0, &when, NULL))
		ret = -errno;
	return ret;
}

bool rate_limiter_may(struct rate_limiter *limiter)
{
	int64_t now = limiter->clock();
	int64_t bytes = bucket_wait(&limiter->bytes, now);
	int64_t ops = bucket_wait(&limiter->ops, now);
	int ret;

	if (bytes <= 0 && ops <= 0)
		return true;
	if (limiter->waiting)
		return false;
	if (bytes > ops)
		ret = timer_set(limiter, bytes + slice_of(&limiter->bytes));
	else
		ret = timer_set(limiter, ops + slice_of(&limiter->ops));
	if (ret)
		log_guest(LOG_WARN, "rate limit: no timer, so no limit: %s",
			  strerror(-ret));
	limiter->waiting = ret == 0;
	return !limiter->waiting;
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
	static const struct itimerspec never;

	if (!limiter->waiting)
		return;
	limiter->waiting = false;
	timerfd_settime(limiter->timer.fd, 0, &never, NULL);
}
