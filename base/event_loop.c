#include "base/event_loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/wake.h"

#define BATCH 32

struct event_loop {
	int epoll_fd;
	int stop_fd;
	pthread_t thread; /* that runs the loop, if running */
	atomic_bool running;
	/* The events that event_loop_run() is handling. A callback that removes
	 * a source strikes out its events that are still to come. Only the
	 * loop's thread uses this. */
	struct epoll_event batch[BATCH];
	int batch_next;
	int batch_count;
};

struct event_loop *event_loop_create(struct error *err)
{
	struct event_loop *loop = calloc(1, sizeof(*loop));
	struct epoll_event stop = { .events = EPOLLIN }; /* of no source */

	if (!loop) {
		error_set(err, ERROR_IO, ENOMEM, "event loop");
		return NULL;
	}
	loop->stop_fd = wake_open();
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->stop_fd < 0 || loop->epoll_fd < 0 ||
	    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->stop_fd, &stop)) {
		error_set(err, ERROR_IO, errno, "event loop");
		event_loop_destroy(loop);
		return NULL;
	}
	return loop;
}

void event_loop_destroy(struct event_loop *loop)
{
	if (!loop)
		return;
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->stop_fd >= 0)
		close(loop->stop_fd);
	free(loop);
}

static int control(struct event_loop *loop, int op, struct event_source *source,
		   uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	return epoll_ctl(loop->epoll_fd, op, source->fd, &event) ? -errno : 0;
}

int event_loop_add(struct event_loop *loop, struct event_source *source,
		   uint32_t events)
{
	int ret;

	if (source->active)
		return 0;
	source->active = true;
	ret = control(loop, EPOLL_CTL_ADD, source, events);
	if (ret)
		source->active = false;
	return ret;
}

int event_loop_modify(struct event_loop *loop, struct event_source *source,
		      uint32_t events)
{
	return control(loop, EPOLL_CTL_MOD, source, events);
}

void event_loop_remove(struct event_loop *loop, struct event_source *source)
{
	if (!source->active)
		return;
	source->active = false;
	control(loop, EPOLL_CTL_DEL, source, 0);
	if (!atomic_load(&loop->running) ||
	    !pthread_equal(loop->thread, pthread_self()))
		return;
	for (int i = loop->batch_next; i < loop->batch_count; i++)
		if (loop->batch[i].data.ptr == source)
			loop->batch[i].events = 0;
}

static void dispatch(struct event_source *source, uint32_t events)
{
	if (source->lock)
		pthread_mutex_lock(source->lock);
	/* Another thread may have removed it after epoll_wait() returned. */
	if (source->active)
		source->ready(source, events);
	if (source->lock)
		pthread_mutex_unlock(source->lock);
}

void event_loop_run(struct event_loop *loop)
{
	bool stop = false;

	loop->thread = pthread_self();
	atomic_store(&loop->running, true);
	while (!stop) {
		int count = epoll_wait(loop->epoll_fd, loop->batch, BATCH, -1);

		loop->batch_count = count < 0 ? 0 : count;
		loop->batch_next = 0;
		while (loop->batch_next < loop->batch_count) {
			struct epoll_event *event =
				&loop->batch[loop->batch_next++];

			if (!event->events)
				continue; /* struck out by a removal */
			if (event->data.ptr)
				dispatch(event->data.ptr, event->events);
			else
				stop = true;
		}
	}
	atomic_store(&loop->running, false);
}

void event_loop_stop(struct event_loop *loop)
{
	wake(loop->stop_fd);
}
