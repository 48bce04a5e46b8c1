#include "vmm/machine/stop.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"

void stop_init(struct stop *stop, struct event_loop *loop)
{
	*stop = (struct stop){ .loop = loop };
	pthread_mutex_init(&stop->lock, NULL);
}

void stop_destroy(struct stop *stop)
{
	pthread_mutex_destroy(&stop->lock);
}

void stop_request(struct stop *stop, enum stop_reason reason, int exit_code,
		  const char *fmt, ...)
{
	struct stop_cause cause = { .reason = reason, .exit_code = exit_code };
	va_list args;
	bool counts;

	va_start(args, fmt);
	vsnprintf(cause.text, sizeof(cause.text), fmt, args);
	va_end(args);

	pthread_mutex_lock(&stop->lock);
	counts = stop->cause.reason == STOP_NONE ||
		 (stop->cause.reason == STOP_REBOOT && reason != STOP_REBOOT);
	if (counts) {
		stop->cause = cause;
		atomic_store(&stop->requested, true);
	}
	pthread_mutex_unlock(&stop->lock);
	if (!counts)
		return;
	if (reason == STOP_REBOOT) /* which a guest can do for ever */
		log_guest(LOG_INFO, "stopping: %s", cause.text);
	else
		log_info("stopping: %s", cause.text);
	event_loop_stop(stop->loop);
}
