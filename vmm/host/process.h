/* A program of the host's that serves the VM: starts it, hears what it says,
 * ends it.
 *
 * The program has /dev/null as its standard input, a pipe to this process as
 * its standard output and error, one descriptor as PROCESS_FD, and no other.
 * Its signals are as a shell leaves them. A session of its own keeps it out of
 * reach of the terminal's keys. The kernel kills it when the thread that
 * started it ends, unless it becomes another user.
 *
 * A process that is all zeroes has not been started. One thread at a time: the
 * one that sets up or, while it is watched, the event loop's.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/event_loop.h"

#define PROCESS_FD 3

/* Bytes of a line with its terminator. The rest of a longer one is dropped. */
#define PROCESS_LINE_MAX 512

struct process_options {
	const char *path;
	char *const *argv; /* ends with NULL */
	int fd;		   /* becomes PROCESS_FD; stays open here */

	/* Whether the program's writes fail while the pipe is full. Otherwise
	 * it waits until somebody reads. */
	bool never_waits;

	/* Called in the new process before exec, unless NULL. 0, or -1 with
	 * err set. The process borrows its parent's memory, so that prepare()
	 * must change nothing but its locals and err. */
	int (*prepare)(const void *wanted, struct error *err);
	const void *wanted;

	/* said() is called for each line, which has no line break and may be
	 * empty; ended(), unless it is NULL, once the program has closed its
	 * output, which it does when it ends. */
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

/* 0, or -1 with err set and nothing to stop. A program that cannot be run, and
 * a prepare() that fails, are a process that says why and ends. */
int process_start(struct process *process,
		  const struct process_options *options, struct error *err);

/* Has an event loop call said() and ended(). 0 or -errno. */
int process_watch(struct process *process, struct event_loop *loop);
void process_unwatch(struct process *process);

/* Calls said() itself until the program has closed its output, which returns
 * true, or until the time is over. */
bool process_listen(struct process *process, int timeout_ms);

/* Waits so long for the program to end by itself, then kills it. Nothing is
 * left of it, nor of what it said. */
void process_stop(struct process *process, int patience_ms);
