/* Output of a console: what the guest writes goes to the host. */
#include "vmm/host/console_private.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/container_of.h"
#include "base/iov.h"
#include "base/log.h"

/* Bytes that write() mostly takes without waiting once poll() has reported a
 * descriptor ready. */
#define POLL_PIECE 16
#define FLUSH_TIMEOUT_MS 10000

ssize_t console_write(struct console *console, struct iovec *iov,
		      unsigned count)
{
	struct pollfd out = { .fd = console->out, .events = POLLOUT };
	struct msghdr message = { .msg_iovlen = count };

	switch (console->out_kind) {
	case CONSOLE_OUT_SOCKET:
		message.msg_iov = iov;
		return sendmsg(console->out, &message,
			       MSG_DONTWAIT | MSG_NOSIGNAL);
	case CONSOLE_OUT_POLL:
		if (poll(&out, 1, 0) == 0) {
			errno = EAGAIN;
			return -1;
		}
		return write(console->out, iov->iov_base,
			     iov->iov_len < POLL_PIECE ? iov->iov_len
						       : POLL_PIECE);
	case CONSOLE_OUT_NONBLOCK:
		break;
	}
	return writev(console->out, iov, (int)count);
}

/* A pty that nobody has open takes some 30 KiB, and then no more. */
static bool nobody_at_pty(const struct console *console)
{
	struct pollfd pty = { .fd = console->out };

	return console->pty && poll(&pty, 1, 0) > 0 && (pty.revents & POLLHUP);
}

/* Warns once, because the guest runs on without a reader. A pty that nobody has
 * open (EIO) is no failure. */
static void say_failed(struct console *console, int errnum)
{
	if (!console->out_failed && !(console->pty && errnum == EIO))
		log_guest(LOG_WARN, "%s: write: %s", console->name,
			  strerror(errnum));
	console->out_failed = true;
}

size_t console_put(void *ctx, struct iovec *iov, unsigned count)
{
	struct console *console = ctx;
	size_t len = iov_length(iov, count);
	ssize_t done;

	timeline_mark(console->timeline, TIMELINE_FIRST_BYTE);
	if (console->out < 0)
		return len;
	done = console_write(console, iov, count);
	if (done < 0 && errno != EAGAIN && errno != EINTR) {
		say_failed(console, errno);
		return len;
	}
	console->out_failed = false;
	if (done == (ssize_t)len || nobody_at_pty(console))
		return len;
	if (event_loop_add(console->loop, &console->source_out, EPOLLOUT))
		return len; /* epoll cannot wait for this file: drop the text */
	console->waiting = true;
	return done < 0 ? 0 : (size_t)done;
}

static void drain(struct console *console)
{
	event_loop_remove(console->loop, &console->source_out);
	console->waiting = false;
	console->port.ops->resume(console->port.dev);
}

void console_output_ready(struct event_source *source, uint32_t events)
{
	(void)events;
	drain(container_of(source, struct console, source_out));
}

void console_flush(struct console *console, int interrupt_fd)
{
	int64_t end = clock_ms() + FLUSH_TIMEOUT_MS, left;
	struct pollfd fds[] = {
		{ .fd = console ? console->out : -1, .events = POLLOUT },
		{ .fd = interrupt_fd, .events = POLLIN },
	};

	/* One write may not take everything that the port holds. */
	while (console && console->waiting && (left = end - clock_ms()) > 0 &&
	       poll(fds, ARRAY_SIZE(fds), (int)left) > 0 && !fds[1].revents)
		drain(console);
}
