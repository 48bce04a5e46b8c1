/* Threads with a name and a stack of 128 KiB.
 *
 * A thread starts with all signals blocked, so that they reach the threads that
 * expect them. Only the signals that report a fault of the thread itself are
 * not blocked, because their handlers restore the terminal. Any thread.
 */
#pragma once

#include <pthread.h>

/* name is copied, at most 15 bytes of it. ps and /proc show it. 0, or an error
 * number if the host has no more threads or memory. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *),
		 void *arg);

/* The same, for a thread that nobody joins. */
int thread_start_detached(const char *name, void *(*run)(void *), void *arg);
