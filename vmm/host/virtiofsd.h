/* virtiofsd, the program that serves shared folders: QEMU's own of Debian 12,
 * or the one in Rust that came after it.
 *
 * It is a child that ends with this process, however that ends: virtiofsd exits
 * when its connection is closed, and is killed when its parent is gone. No
 * socket and no folder is left behind. Set-up thread; the event loop logs what
 * virtiofsd says.
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
	char first[PROCESS_LINE_MAX]; /* that it has said: has the cause */
};

/* Finds the virtiofsd that would be started. False when there is none. */
bool virtiofsd_find(char path[static PATH_MAX]);

/* Starts a virtiofsd for the folder dir. Returns a connection to it, which is
 * the caller's, or -1 with err set and nothing to stop. Whether it runs shows
 * when the connection is used. */
int virtiofsd_start(struct virtiofsd *daemon, const char *dir, const char *tag,
		    bool readonly, struct error *err);

/* After a failure of the connection: makes what virtiofsd says about it within
 * two seconds the error's text, if it says anything. */
void virtiofsd_explain(struct virtiofsd *daemon, struct error *err);

/* After the connection was closed: waits two seconds for virtiofsd to end, then
 * kills it. */
void virtiofsd_stop(struct virtiofsd *daemon);
