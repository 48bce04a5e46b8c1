/* The event loops of a VM: its own, and those that devices ask for by name,
 * each with a thread. Devices that give the same name share one.
 *
 * Set-up thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "vmm/machine/layout.h"

struct iothread {
	const char *name; /* the configuration's */
	struct event_loop *loop;
	pthread_t thread;
	bool started;
};

struct iothreads {
	struct event_loop *main_loop; /* the VM's own, which has no thread */
	unsigned count;
	struct iothread list[LAYOUT_SLOTS_MAX];
};

void iothreads_create(struct iothreads *iothreads,
		      struct event_loop *main_loop);

/* The loop of that name, which is made if it is not there; the VM's own for
 * NULL. NULL with err set when there are no descriptors left. */
struct event_loop *iothreads_loop(struct iothreads *iothreads, const char *name,
				  struct error *err);

/* Start and stop the threads. Devices are called in them in between. */
int iothreads_start(struct iothreads *iothreads, struct error *err);
void iothreads_stop(struct iothreads *iothreads);

/* Threads have stopped, and devices are gone. */
void iothreads_destroy(struct iothreads *iothreads);
