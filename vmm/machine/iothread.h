/* The event loops of a VM: the main one, and those that devices ask for by
 * name, each with a thread. Devices that give the same name share one.
 *
 * Set-up thread. A loop calls the devices on it in its own thread.
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
	struct event_loop *main_loop; /* vm_run()'s, without an iothread */
	unsigned count;
	struct iothread list[LAYOUT_SLOTS_MAX];
};

/* Makes the main loop. -1 with err set when there are no descriptors left. */
int iothreads_create(struct iothreads *iothreads, struct error *err);

/* Returns the loop of that name, which is made if it is not there, or the main
 * one for NULL. NULL with err set when there are no descriptors left. */
struct event_loop *iothreads_loop(struct iothreads *iothreads, const char *name,
				  struct error *err);

/* Starts the threads. -1 with err set; iothreads_stop() ends those that
 * were started. */
int iothreads_start(struct iothreads *iothreads, struct error *err);
void iothreads_stop(struct iothreads *iothreads);

/* The threads have stopped, and the devices are gone. */
void iothreads_destroy(struct iothreads *iothreads);
