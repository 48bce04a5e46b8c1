#include "vmm/machine/iothread.h"

#include <string.h>

#include "base/thread.h"

int iothreads_create(struct iothreads *iothreads, struct error *err)
{
	*iothreads = (struct iothreads){ .main_loop = event_loop_create(err) };
	return iothreads->main_loop ? 0 : -1;
}

struct event_loop *iothreads_loop(struct iothreads *iothreads, const char *name,
				  struct error *err)
{
	struct iothread *iothread;

	if (!name)
		return iothreads->main_loop;
	for (unsigned i = 0; i < iothreads->count; i++)
		if (strcmp(iothreads->list[i].name, name) == 0)
			return iothreads->list[i].loop;
	iothread = &iothreads->list[iothreads->count];
	iothread->loop = event_loop_create(err);
	if (!iothread->loop) {
		error_wrap(err, "iothread %s", name);
		return NULL;
	}
	iothread->name = name;
	iothreads->count++;
	return iothread->loop;
}

static void *iothread_main(void *arg)
{
	struct iothread *iothread = arg;

	event_loop_run(iothread->loop);
	return NULL;
}

int iothreads_start(struct iothreads *iothreads, struct error *err)
{
	for (unsigned i = 0; i < iothreads->count; i++) {
		struct iothread *iothread = &iothreads->list[i];
		int ret = thread_start(&iothread->thread, iothread->name,
				       iothread_main, iothread);

		if (ret)
			return error_set(err, ERROR_IO, ret, "iothread %s",
					 iothread->name);
		iothread->started = true;
	}
	return 0;
}

void iothreads_stop(struct iothreads *iothreads)
{
	for (unsigned i = 0; i < iothreads->count; i++) {
		struct iothread *iothread = &iothreads->list[i];

		if (!iothread->started)
			continue;
		event_loop_stop(iothread->loop);
		pthread_join(iothread->thread, NULL);
		iothread->started = false;
	}
}

void iothreads_destroy(struct iothreads *iothreads)
{
	while (iothreads->count > 0)
		event_loop_destroy(iothreads->list[--iothreads->count].loop);
	event_loop_destroy(iothreads->main_loop);
}
