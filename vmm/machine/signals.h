/* The signals that a VM answers, read in its event loop.
 *
 * They are blocked before anything but --config is opened, so that none of them
 * ends the process before the VM can clean up.
 */
#pragma once

#include "base/error.h"
#include "base/event_loop.h"

struct signals {
	struct event_source source; /* fd is a signalfd; -1: none */
	struct event_loop *loop;
	void (*handle)(void *ctx, int number);
	void *ctx;
};

/* Blocks the signals for this thread and those to come. Also ignores SIGPIPE
 * and SIGXFSZ: what would raise them fails with an error instead. Main
 * thread. */
void signals_block(void);

/* From now on the loop calls handle() for each signal that comes or has come
 * since signals were blocked. -1 with err set; signals_unwatch() takes what a
 * failure leaves. Set-up thread. */
int signals_watch(struct signals *signals, struct event_loop *loop,
		  void (*handle)(void *ctx, int number), void *ctx,
		  struct error *err);

/* Calls handle() for the signals that nobody has read yet. The loop has
 * stopped. */
void signals_handle_pending(struct signals *signals);
void signals_unwatch(struct signals *signals);
