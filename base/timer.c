#include "base/timer.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/container_of.h"

#define SECOND 1000000000LL

static void timer_ready(struct event_source *source, uint32_t events)
{
	struct timer *timer = container_of(source, struct timer, source);
	uint64_t count;

	(void)events;
	/* It may have been stopped or set again after it rang. */
	if (read(source->fd, &count, sizeof(count)) == sizeof(count))
		timer->ready(timer);
}

int timer_open(struct timer *timer, struct event_loop *loop,
	       pthread_mutex_t *lock, void (*ready)(struct timer *timer))
{
	int ret;

	*timer = (struct timer){
		.source = { .ready = timer_ready, .lock = lock },
		.loop = loop,
		.ready = ready,
	};
	timer->source.fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer->source.fd < 0)
		return -errno;
	ret = event_loop_add(loop, &timer->source, EPOLLIN);
	if (ret)
		timer_close(timer);
	return ret;
}

/* This cannot fail, because the times are valid and the descriptor is open. */
static void set(struct timer *timer, int64_t ns, unsigned interval_s)
{
	struct itimerspec when = {
		.it_value = { ns / SECOND, ns % SECOND },
		.it_interval = { interval_s, 0 },
	};

	timerfd_settime(timer->source.fd, 0, &when, NULL);
}

void timer_set_ns(struct timer *timer, int64_t ns)
{
	set(timer, ns > 0 ? ns : 1, 0);
}

void timer_set_interval_s(struct timer *timer, unsigned seconds)
{
	set(timer, seconds * SECOND, seconds);
}

void timer_stop(struct timer *timer)
{
	set(timer, 0, 0);
}

void timer_close(struct timer *timer)
{
	if (timer->source.fd < 0)
		return;
	event_loop_remove(timer->loop, &timer->source);
	close(timer->source.fd);
	timer->source.fd = -1;
}
