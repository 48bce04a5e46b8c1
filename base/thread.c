#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/cleanup.h"

/* Enough bytes for the deepest path of a device model: a block request that a
 * vCPU serves itself, or an error message and a log line. */
#define THREAD_STACK (128 * 1024)

static const int faults[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL,
			      SIGSEGV, SIGSYS, SIGTRAP };

/* What a new thread needs. The thread frees it. */
struct start {
	char name[16];
	void *(*run)(void *);
	void *arg;
};

static void *thread_main(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	prctl(PR_SET_NAME, start.name);
	return start.run(start.arg);
}

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *),
		 void *arg)
{
	struct start *start = malloc(sizeof(*start));
	pthread_attr_t attr;
	sigset_t blocked, old;
	int ret;

	if (!start)
		return ENOMEM;
	*start = (struct start){ .run = run, .arg = arg };
	snprintf(start->name, sizeof(start->name), "%s", name);
	sigfillset(&blocked);
	for (unsigned i = 0; i < ARRAY_SIZE(faults); i++)
		sigdelset(&blocked, faults[i]);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	pthread_sigmask(SIG_BLOCK, &blocked, &old);
	ret = pthread_create(thread, &attr, thread_main, start);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (ret)
		free(start);
	return ret;
}

int thread_start_detached(const char *name, void *(*run)(void *), void *arg)
{
	pthread_t thread;
	int ret = thread_start(&thread, name, run, arg);

	if (ret == 0)
		pthread_detach(thread);
	return ret;
}
