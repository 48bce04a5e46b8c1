/* virtiofsd, the program that serves shared folders: QEMU's own of Debian 12,
 * or the one in Rust that came after it.
 *
 * Started as a child that ends with this process, however that ends: it exits
 * when its connection is closed, and is killed when its parent is gone. Neither
 * a socket nor a folder stays. Set-up thread, but for the log, which the event
 * loop passes on.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/event_loop.h"

#define VIRTIOFSD_LINE_MAX 200

/* Where to get it. */
#define VIRTIOFSD_PACKAGE "virtiofsd, in Debian 12 qemu-system-common"

struct virtiofsd {
	pid_t pid;	 /* 0: none */
	const char *tag; /* the configuration's; for messages */
	struct event_source log;
	struct event_loop *loop;       /* that watches it; NULL: none */
	char line[VIRTIOFSD_LINE_MAX]; /* of its log, so far */
	size_t line_len;
};

/* The one that would be started; false when there is none. */
bool virtiofsd_find(char path[static PATH_MAX]);

/* Starts one for the folder dir. Returns a connection to it, which is the
 * caller's, or -1 with err set and nothing to stop. That it runs shows when the
 * connection is used. */
int virtiofsd_start(struct virtiofsd *daemon, const char *dir, const char *tag,
		    bool readonly, struct error *err);

/* Where it said what went wrong, as it ended, that becomes the error's text. */
void virtiofsd_explain(struct virtiofsd *daemon, struct error *err);

/* Has the event loop pass its log on; 0 or -errno. */
int virtiofsd_watch(struct virtiofsd *daemon, struct event_loop *loop);
void virtiofsd_unwatch(struct virtiofsd *daemon);

/* The connection is closed: waits for its end, which may be brought about. */
void virtiofsd_stop(struct virtiofsd *daemon);
