/* The signals that a VM answers, read in its event loop.
 *
 * They are blocked before anything but --config is opened, so that none of them
 * ends the process before the VM can clean up.
 */
#pragma once

#include "base/error.h"
#include "base/event_loop.h"

/* What they mean. Event loop. */
struct signal_ops {
	void (*stop)(void *ctx, int number); /* SIGTERM, SIGINT, ... */
	void (*lease_broken)(void *ctx);     /* BOOT_FILES_LEASE_SIGNAL */
	void (*reload_disks)(void *ctx);     /* DISK_RELOAD_SIGNAL */
};

struct signals {
	struct event_source source; /* fd is a signalfd, -1: none */
	struct event_loop *loop;
	const struct signal_ops *ops;
	void *ctx;
};

/* Blocks them for this thread and those to come, and ignores SIGPIPE and
 * SIGXFSZ, which come as errors instead. */
void signals_block(void);

/* From now on ops are called for those that come, and for those that came since
 * they were blocked. -1 with err set. */
int signals_watch(struct signals *signals, struct event_loop *loop,
		  const struct signal_ops *ops, void *ctx, struct error *err);

/* Handles those that have come and not been read yet. The loop has stopped. */
void signals_handle_pending(struct signals *signals);
void signals_unwatch(struct signals *signals);
