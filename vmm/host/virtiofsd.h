/* virtiofsd, the program that serves shared folders: QEMU's own, which Debian
 * 12 has, or its successor in Rust.
 *
 * virtiofsd is a child process. It exits when its connection is closed, and the
 * kernel kills it when onggi is gone, so that it never outlives onggi. No
 * socket and no folder is left behind. The main thread calls these functions.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "base/error.h"
#include "vmm/host/process.h"

/* Where to get it. */
#define VIRTIOFSD_PACKAGE "virtiofsd, in Debian 12 qemu-system-common"

struct virtiofsd {
	const char *tag;	/* the configuration's; for messages */
	struct process process; /* while it is watched, its lines are logged */
	char first[PROCESS_LINE_MAX]; /* its first line, which has the cause */
};

/* Finds the virtiofsd that virtiofsd_start() would start. False when there is
 * none. */
bool virtiofsd_find(char path[static PATH_MAX]);

/* Starts a virtiofsd for the folder dir. Returns a connection, which the caller
 * closes, or -1 with err set and nothing to stop. If virtiofsd fails at its
 * start, only the use of the connection shows that. tag outlives daemon. */
int virtiofsd_start(struct virtiofsd *daemon, const char *dir, const char *tag,
		    bool readonly, struct error *err);

/* After a failure of the connection: replaces the error by the first line of
 * virtiofsd. Waits at most two seconds for virtiofsd to end. */
void virtiofsd_explain(struct virtiofsd *daemon, struct error *err);

/* The caller has closed the connection. Waits two seconds for virtiofsd to end,
 * then kills it. */
void virtiofsd_stop(struct virtiofsd *daemon);
