/* Event loops beside the VM's own, each with a thread, for devices that ask
 * for one by name; those that give the same name share it.
 *
 * Made while devices are, and owned by struct vm. Set-up thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/event_loop.h"

struct vm;

struct iothread {
	const char *name; /* the configuration's */
	struct event_loop *loop;
	pthread_t thread;
	bool started;
};

/* The loop of that name, which is made if it is not there; the VM's own for
 * NULL. NULL with err set when there are no descriptors left. */
struct event_loop *iothread_loop(struct vm *vm, const char *name,
				 struct error *err);

/* Start and stop the threads. Devices are called in them in between. */
int iothreads_start(struct vm *vm, struct error *err);
void iothreads_stop(struct vm *vm);

/* Threads have stopped, and devices are gone. */
void iothreads_destroy(struct vm *vm);
