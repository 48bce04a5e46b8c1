/* Whether a VM ends, and why.
 *
 * Any thread may ask for the end. The first request counts, with its exit code
 * and text; only a reboot gives way to another reason. stop_init() and
 * stop_destroy() belong to the set-up thread.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/event_loop.h"

enum stop_reason {
	STOP_NONE, /* still running */
	STOP_POWEROFF,
	STOP_REBOOT,
	STOP_QUIT,  /* asked for from outside */
	STOP_ERROR, /* exit_code is an error_class */
};

struct stop_cause {
	enum stop_reason reason;
	int exit_code; /* the process's, unless the guest boots again */
	char text[sizeof(((struct error *)0)->text)];
};

struct stop {
	pthread_mutex_t lock;
	struct stop_cause cause; /* changed under the lock, as a whole */
	atomic_bool requested;	 /* cause has a reason */
	struct event_loop *loop; /* stopped by a request; outlives this */
};

void stop_init(struct stop *stop, struct event_loop *loop);
void stop_destroy(struct stop *stop);

/* Logs the reason and stops the event loop; vCPUs see stop_is_requested(). fmt
 * gives the text. Any thread. */
void stop_request(struct stop *stop, enum stop_reason reason, int exit_code,
		  const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static inline bool stop_is_requested(struct stop *stop)
{
	return atomic_load_explicit(&stop->requested, memory_order_acquire);
}
