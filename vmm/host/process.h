/* A program of the host that serves the VM: finds it, starts it, reads its
 * messages, ends it.
 *
 * The program has /dev/null as its standard input, a pipe to this process as
 * its standard output and error, one descriptor as PROCESS_FD, and no other
 * descriptor. No signal is blocked or ignored. The program has a session of its
 * own, which the keys of the terminal do not reach. The kernel kills it when
 * the thread that started it ends, unless it becomes another user.
 *
 * A struct process that is all zeroes has not been started. One thread at a
 * time uses it: the main thread or, while it is watched, that of the event
 * loop.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/event_loop.h"

#define PROCESS_FD 3

/* Bytes of a line with its terminator. The rest of a longer line is dropped. */
#define PROCESS_LINE_MAX 512

struct process_options {
	const char *path;
	char *const *argv; /* ends with NULL */
	int fd;		   /* becomes PROCESS_FD; stays open here */

	/* Whether the program's writes fail while the pipe is full. Otherwise
	 * they wait until this process reads. */
	bool never_waits;

	/* Called in the new process before exec, unless NULL. 0, or -1 with
	 * err set. The process shares the memory of onggi: prepare() must not
	 * change anything but its locals and err. */
	int (*prepare)(const void *wanted, struct error *err);
	const void *wanted;

	/* said() is called for each line, which comes without its line break
	 * and may be empty. ended(), unless NULL, is called once the program
	 * has closed its output, at the latest when it ends. */
	void (*said)(void *ctx, const char *line);
	void (*ended)(void *ctx);
	void *ctx;
};

struct process {
	pid_t pid; /* 0: not started */
	struct event_source output;
	struct event_loop *loop; /* NULL: nobody watches */
	void (*said)(void *ctx, const char *line);
	void (*ended)(void *ctx);
	void *ctx;
	size_t length; /* of line, so far */
	char line[PROCESS_LINE_MAX];
};

/* Whether an executable file is there. Any thread, as the next one. */
bool process_is_program(const char *path);

/* Looks for an executable file in the folders of PATH or, where that is not
 * set, in the system's. Skips folders that are relative to the current one.
 * False, and an empty path, when no folder has it. */
bool process_find_program(const char *name, char path[static PATH_MAX]);

/* 0, or -1 with err set and nothing to stop. When exec or prepare() fails, that
 * is no error of this function: the new process prints the reason, as the
 * program would, and ends. */
int process_start(struct process *process,
		  const struct process_options *options, struct error *err);

/* Lets an event loop read the output and call said() and ended(). 0 or -errno. */
int process_watch(struct process *process, struct event_loop *loop);
void process_unwatch(struct process *process);

/* Reads the output and calls said(), but not ended(). True once the program has
 * closed its output; false when the time is over before that. */
bool process_listen(struct process *process, int timeout_ms);

/* Waits so long for the program to end by itself, then kills it. Drops the
 * output that nobody has read. Does nothing for a process that was not started.
 */
void process_stop(struct process *process, int patience_ms);
