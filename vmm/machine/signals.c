#include "vmm/machine/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/container_of.h"
#include "vmm/machine/boot_files.h"
#include "vmm/machine/disk_reload.h"

static const int handled[] = {
	SIGTERM,	   SIGINT, SIGHUP, SIGQUIT, BOOT_FILES_LEASE_SIGNAL,
	DISK_RELOAD_SIGNAL
};

static sigset_t handled_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_SIZE(handled); i++)
		sigaddset(&set, handled[i]);
	return set;
}

void signals_block(void)
{
	sigset_t set = handled_signals();

	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* neither a console whose reader goes away nor a file that may not grow
	 * any more (ulimit -f) ends the VM */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* Reads and handles one signal. False when none has come. */
static bool handle_next(struct signals *signals)
{
	struct signalfd_siginfo info;

	if (read(signals->source.fd, &info, sizeof(info)) != sizeof(info))
		return false;
	signals->handle(signals->ctx, (int)info.ssi_signo);
	return true;
}

static void signals_ready(struct event_source *source, uint32_t events)
{
	(void)events;
	handle_next(container_of(source, struct signals, source));
}

int signals_watch(struct signals *signals, struct event_loop *loop,
		  void (*handle)(void *ctx, int number), void *ctx,
		  struct error *err)
{
	sigset_t set = handled_signals();

	*signals = (struct signals){
		.source = { .fd = signalfd(-1, &set,
					   SFD_CLOEXEC | SFD_NONBLOCK),
			    .ready = signals_ready },
		.loop = loop,
		.handle = handle,
		.ctx = ctx,
	};
	if (signals->source.fd < 0 ||
	    event_loop_add(loop, &signals->source, EPOLLIN))
		return error_set(err, ERROR_IO, errno, "watch signals");
	return 0;
}

void signals_handle_pending(struct signals *signals)
{
	for (unsigned i = 0; i < ARRAY_SIZE(handled) && handle_next(signals);
	     i++)
		;
}

void signals_unwatch(struct signals *signals)
{
	event_loop_remove(signals->loop, &signals->source);
	cleanup_close(&signals->source.fd);
}
