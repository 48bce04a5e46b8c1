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
	/* a console whose reader goes away must not take the VM with it, nor
	 * a file that may not grow any more (ulimit -f) */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* Reads and handles one; false when none has come. */
static bool handle_next(struct signals *signals)
{
	struct signalfd_siginfo info;

	if (read(signals->source.fd, &info, sizeof(info)) != sizeof(info))
		return false;
	switch (info.ssi_signo) {
	case BOOT_FILES_LEASE_SIGNAL:
		signals->ops->lease_broken(signals->ctx);
		break;
	case DISK_RELOAD_SIGNAL:
		signals->ops->reload_disks(signals->ctx);
		break;
	default:
		signals->ops->stop(signals->ctx, (int)info.ssi_signo);
	}
	return true;
}

static void signals_ready(struct event_source *source, uint32_t events)
{
	(void)events;
	handle_next(container_of(source, struct signals, source));
}

int signals_watch(struct signals *signals, struct event_loop *loop,
		  const struct signal_ops *ops, void *ctx, struct error *err)
{
	sigset_t set = handled_signals();

	*signals = (struct signals){
		.source = { .fd = signalfd(-1, &set,
					   SFD_CLOEXEC | SFD_NONBLOCK),
			    .ready = signals_ready },
		.loop = loop,
		.ops = ops,
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
