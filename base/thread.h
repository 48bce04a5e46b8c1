/* Threads with a name and a small stack.
 *
 * A thread starts with all signals blocked, so that they reach the threads that
 * expect them. Only the signals that report a fault of the thread itself are
 * let through: their handlers restore the terminal. Any thread.
 */
#pragma once

#include <pthread.h>
#include <stddef.h>

/* Enough for the deepest path of a device model: a block request that a vCPU
 * serves itself, or an error message and a log line. */
#define THREAD_STACK (128 * 1024)

/* name: at most 15 bytes, copied; ps and /proc show it. 0, or an error number
 * when the host has no more threads or memory. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *),
		 void *arg);

/* The same for a thread that nobody joins. */
int thread_start_detached(const char *name, void *(*run)(void *), void *arg);
