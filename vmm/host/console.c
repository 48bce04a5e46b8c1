#include "vmm/host/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/container_of.h"
#include "base/iov.h"
#include "base/log.h"
#include "vmm/host/terminal.h"

#define ESCAPE 0x01 /* Ctrl-A */

#define INPUT_MAX 256	 /* bytes per read */
#define PENDING_MAX 1024 /* bytes held until the guest takes them */
#define POLL_PIECE 16	 /* bytes that whatever is ready takes, mostly */

enum out_kind {
	OUT_NONBLOCK, /* write() never waits, or not for a reader */
	OUT_SOCKET,   /* shared with others, so asked not to wait each time */
	OUT_POLL,     /* shared, and can only be asked beforehand */
};

struct console {
	const char *name; /* in messages */
	int in, out;	  /* -1: none */
	bool owns_in, owns_out;
	enum out_kind out_kind;
	bool stdio;
	bool terminal;	  /* in is the user's terminal: raw, with escape keys */
	bool pty;	  /* our own, with somebody at the other end or not */
	bool escaped;	  /* Ctrl-A was the last key */
	bool pollable;	  /* in can be waited for; regular files cannot */
	bool read_more;	  /* it cannot, and has not ended */
	bool out_failed;  /* and that has been said */
	bool waiting;	  /* for source_out: the port is blocked */
	bool as_was;	  /* out is a file that no VM has written to yet */
	const char *made; /* its name, if it was not there before */
	struct event_source source_in, source_out, source_size;
	struct console_port port;
	struct event_loop *loop;
	struct timeline *timeline;
	void (*quit)(void *);
	void *quit_ctx;
	uint8_t pending[PENDING_MAX]; /* read, but not yet taken by the port */
	size_t pending_len;
};

/* --- output: guest to host --- */

/* As write(), but never waits for the other end. */
static ssize_t put_now(struct console *console, struct iovec *iov,
		       unsigned count)
{
	struct pollfd out = { .fd = console->out, .events = POLLOUT };
	struct msghdr message = { .msg_iovlen = count };

	switch (console->out_kind) {
	case OUT_SOCKET:
		message.msg_iov = iov;
		return sendmsg(console->out, &message,
			       MSG_DONTWAIT | MSG_NOSIGNAL);
	case OUT_POLL:
		if (poll(&out, 1, 0) == 0) {
			errno = EAGAIN;
			return -1;
		}
		return write(console->out, iov->iov_base,
			     iov->iov_len < POLL_PIECE ? iov->iov_len
						       : POLL_PIECE);
	case OUT_NONBLOCK:
		break;
	}
	return writev(console->out, iov, (int)count);
}

/* A pty keeps some 30 KiB for whoever comes, and then refuses more. */
static bool nobody_at_pty(const struct console *console)
{
	struct pollfd pty = { .fd = console->out };

	return console->pty && poll(&pty, 1, 0) > 0 && (pty.revents & POLLHUP);
}

/* The guest goes on without a reader. Nobody at a pty is no failure. */
static void say_failed(struct console *console, int errnum)
{
	if (!console->out_failed && !(console->pty && errnum == EIO))
		log_guest(LOG_WARN, "%s: write: %s", console->name,
			  strerror(errnum));
	console->out_failed = true;
}

static size_t on_put(void *ctx, struct iovec *iov, unsigned count)
{
	struct console *console = ctx;
	size_t len = iov_length(iov, count);
	ssize_t done;

	timeline_mark(console->timeline, TIMELINE_FIRST_BYTE);
	if (console->out < 0)
		return len;
	done = put_now(console, iov, count);
	if (done < 0 && errno != EAGAIN && errno != EINTR) {
		say_failed(console, errno);
		return len;
	}
	console->out_failed = false;
	if (done == (ssize_t)len || nobody_at_pty(console))
		return len;
	if (event_loop_add(console->loop, &console->source_out, EPOLLOUT))
		return len; /* nothing that can be waited for: drop it */
	console->waiting = true;
	return done < 0 ? 0 : (size_t)done;
}

static void drain(struct console *console)
{
	event_loop_remove(console->loop, &console->source_out);
	console->waiting = false;
	console->port.ops->resume(console->port.dev);
}

static void out_ready(struct event_source *source, uint32_t events)
{
	(void)events;
	drain(container_of(source, struct console, source_out));
}

/* --- escape keys --- */

static void print_keys(struct console *console)
{
	static char keys[] =
		"\r\n"
		"Ctrl-A h       this help\r\n"
		"Ctrl-A x       end the VM at once\r\n"
		"Ctrl-A Ctrl-A  send Ctrl-A to the guest\r\n";

	struct iovec iov = { .iov_base = keys, .iov_len = sizeof(keys) - 1 };

	if (put_now(console, &iov, 1) < 0)
		return;
}

/* Takes the escape keys out of data, in place; returns the length left. */
static size_t filter_escapes(struct console *console, uint8_t *data, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t key = data[i];

		if (!console->escaped && key == ESCAPE) {
			console->escaped = true;
			continue;
		}
		if (console->escaped) {
			console->escaped = false;
			if (key == 'x') {
				console->quit(console->quit_ctx);
				return kept;
			}
			if (key == 'h')
				print_keys(console);
			if (key != ESCAPE)
				continue;
		}
		data[kept++] = key;
	}
	return kept;
}

/* --- input: host to guest --- */

static void give_pending(struct console *console)
{
	size_t taken = console->port.ops->receive(
		console->port.dev, console->pending, console->pending_len);

	console->pending_len -= taken;
	memmove(console->pending, console->pending + taken,
		console->pending_len);
}

/* More input than can be held is the user's typing ahead: it is lost, as a
 * terminal loses it. Everything else is read when nothing is held. */
static void hold(struct console *console, const uint8_t *data, size_t len)
{
	size_t room = sizeof(console->pending) - console->pending_len;

	if (len > room)
		len = room;
	memcpy(console->pending + console->pending_len, data, len);
	console->pending_len += len;
}

/* epoll tells of a hang-up whatever it is asked for, and again and again. So
 * a source of which nothing is wanted now is taken out; and the others are
 * told of once (EPOLLET), until this asks again. */
static void watch_input(struct console *console)
{
	const uint32_t events = EPOLLIN | EPOLLET;

	if (!console->pollable)
		return;
	if (console->pending_len && !console->terminal)
		event_loop_remove(console->loop, &console->source_in);
	else if (console->source_in.active)
		event_loop_modify(console->loop, &console->source_in, events);
	else
		event_loop_add(console->loop, &console->source_in, events);
}

static void stop_reading(struct console *console)
{
	event_loop_remove(console->loop, &console->source_in);
	console->pollable = false;
	console->read_more = false;
}

/* Reads once; false at the end, or when nothing is there now. */
static bool read_input(struct console *console)
{
	uint8_t data[INPUT_MAX];
	ssize_t got;
	size_t len;

	do
		got = read(console->in, data, sizeof(data));
	while (got < 0 && errno == EINTR);
	/* EIO: nobody is at the pty, or a terminal is another job's now */
	if (got < 0 && (errno == EAGAIN || errno == EIO))
		return false;
	if (got <= 0) {
		stop_reading(console);
		return false;
	}
	len = (size_t)got;
	if (console->terminal)
		len = filter_escapes(console, data, len);
	hold(console, data, len);
	return true;
}

/* The port has room, or is new. What can be waited for is read once per event;
 * anything else, until its end. */
static void on_room(void *ctx)
{
	struct console *console = ctx;

	if (!console->loop)
		return;
	do
		give_pending(console);
	while (!console->pending_len && console->read_more &&
	       read_input(console));
	watch_input(console);
}

/* Not watched again after a read that brought nothing: the next byte, or
 * whoever opens the pty and types, makes an event of its own. */
static void in_ready(struct event_source *source, uint32_t events)
{
	struct console *console =
		container_of(source, struct console, source_in);

	(void)events;
	if (!read_input(console))
		return;
	give_pending(console);
	watch_input(console);
}

const struct console_backend console_backend = {
	.put = on_put,
	.room = on_room,
};

/* --- the size of a terminal --- */

/* Of the one that shows the output, or of the one that input is typed at. */
static int terminal_fd(const struct console *console)
{
	if (!console->stdio)
		return -1;
	if (isatty(console->out))
		return console->out;
	return console->terminal ? console->in : -1;
}

static void tell_size(struct console *console)
{
	struct winsize size;

	if (ioctl(terminal_fd(console), TIOCGWINSZ, &size) == 0)
		console->port.ops->resize(console->port.dev, size.ws_col,
					  size.ws_row);
}

static void size_changed(struct event_source *source, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	if (read(source->fd, &info, sizeof(info)) == sizeof(info))
		tell_size(container_of(source, struct console, source_size));
}

/* SIGWINCH comes to whoever is in the terminal's foreground. */
static int watch_size(struct console *console, struct error *err)
{
	struct event_source *source = &console->source_size;
	sigset_t set;

	if (!console->port.ops->resize || terminal_fd(console) < 0)
		return 0;
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	source->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (source->fd < 0 || event_loop_add(console->loop, source, EPOLLIN))
		return error_set(err, ERROR_IO, errno, "%s: watch its size",
				 console->name);
	tell_size(console);
	return 0;
}

/* --- life --- */

/* A non-blocking descriptor for the same terminal or pipe, without touching
 * the flags of the one we share with our parent. Sockets cannot be opened
 * again; other files do not keep a writer waiting for a reader. */
static void open_stdout(struct console *console)
{
	struct stat st;

	console->out = STDOUT_FILENO;
	if (fstat(STDOUT_FILENO, &st))
		return;
	if (S_ISSOCK(st.st_mode)) {
		console->out_kind = OUT_SOCKET;
	} else if (S_ISFIFO(st.st_mode) || isatty(STDOUT_FILENO)) {
		int fd = open("/proc/self/fd/1",
			      O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

		if (fd >= 0)
			console->out = fd;
		else /* not ours to open: somebody else's terminal */
			console->out_kind = OUT_POLL;
		console->owns_out = fd >= 0;
	}
}

/* In and out get a descriptor each, so that epoll can wait for them apart. The
 * other end is not kept open here: that would hide whether anybody is there,
 * and the guest would wait for a reader that never comes. */
static int open_pty(struct console *console, struct error *err)
{
	struct termios modes;
	char path[64];
	int slave;

	if (openpty(&console->in, &slave, path, NULL, NULL))
		return error_set(err, ERROR_IO, errno, "%s: open a pty",
				 console->name);
	console->owns_in = true;
	if (tcgetattr(slave, &modes) == 0) {
		cfmakeraw(&modes);
		tcsetattr(slave, TCSANOW, &modes);
	}
	close(slave);
	fcntl(console->in, F_SETFD, FD_CLOEXEC);
	fcntl(console->in, F_SETFL, O_NONBLOCK);
	console->out = fcntl(console->in, F_DUPFD_CLOEXEC, 0);
	if (console->out < 0)
		return error_set(err, ERROR_IO, errno, "%s: open a pty",
				 console->name);
	console->owns_out = true;
	console->pty = true;
	fprintf(stderr, "onggi: %s is %s\n", console->name, path);
	return 0;
}

/* Does not wait for the reader of a FIFO: there must be one. */
static int open_file(struct console *console, const char *path,
		     struct error *err)
{
	const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK |
			  O_NOCTTY;

	console->as_was = true;
	console->out = open(path, flags | O_EXCL, 0666);
	if (console->out >= 0)
		console->made = path;
	else
		console->out = open(path, flags, 0666);
	if (console->out < 0)
		return error_set(err, ERROR_IO, 0, "%s: open %s: %s%s",
				 console->name, path, strerror(errno),
				 errno == ENXIO
					 ? " (a pipe needs its reader first)"
					 : "");
	console->owns_out = true;
	return 0;
}

struct console *console_open(const char *name,
			     const struct config_console *config,
			     struct timeline *timeline, struct error *err)
{
	struct console *console = calloc(1, sizeof(*console));
	int ret = 0;

	if (!console) {
		error_set(err, ERROR_IO, ENOMEM, "%s", name);
		return NULL;
	}
	console->name = name;
	console->in = console->out = console->source_size.fd = -1;
	console->timeline = timeline;
	if (config->stdio) {
		console->stdio = true;
		console->in = STDIN_FILENO;
		console->terminal = isatty(STDIN_FILENO);
		open_stdout(console);
	} else if (config->pty) {
		ret = open_pty(console, err);
	} else if (config->file) {
		ret = open_file(console, config->file, err);
	}
	if (ret) {
		console_close(console);
		return NULL;
	}
	return console;
}

/* There is a VM now: what another one left in the file goes. */
static void take_file(struct console *console)
{
	bool as_was = console->as_was;

	console->as_was = false;
	console->made = NULL;
	if (as_was && ftruncate(console->out, 0))
		return; /* a pipe or a device: nothing is kept there */
}

void console_close(struct console *console)
{
	if (!console)
		return;
	if (console->made)
		unlink(console->made);
	if (console->owns_in)
		close(console->in);
	if (console->owns_out)
		close(console->out);
	free(console);
}

int console_attach(struct console *console, const struct console_port *port,
		   struct event_loop *loop, void (*quit)(void *), void *ctx,
		   struct error *err)
{
	int ret;

	console->port = *port;
	console->loop = loop;
	console->quit = quit;
	console->quit_ctx = ctx;
	console->waiting = false;
	console->source_in = (struct event_source){ .fd = console->in,
						    .ready = in_ready,
						    .lock = port->lock };
	console->source_out = (struct event_source){ .fd = console->out,
						     .ready = out_ready,
						     .lock = port->lock };
	console->source_size = (struct event_source){ .fd = -1,
						      .ready = size_changed,
						      .lock = port->lock };
	take_file(console);
	if (watch_size(console, err))
		return -1;
	if (console->in < 0)
		return 0;
	ret = event_loop_add(loop, &console->source_in, EPOLLIN | EPOLLET);
	if (ret && ret != -EPERM)
		return error_set(err, ERROR_IO, -ret, "%s: watch stdin",
				 console->name);
	console->pollable = ret == 0;
	/* EPERM: a regular file, always ready */
	console->read_more = ret == -EPERM;
	if (console->terminal)
		terminal_set_raw();
	/* what there is already, or has been since before a reboot */
	on_room(console);
	return 0;
}

#define FLUSH_TIMEOUT_MS 10000

void console_flush(struct console *console, int interrupt_fd)
{
	int64_t end = clock_ms() + FLUSH_TIMEOUT_MS, left;
	struct pollfd fds[] = {
		{ .fd = console ? console->out : -1, .events = POLLOUT },
		{ .fd = interrupt_fd, .events = POLLIN },
	};

	/* the port may hold more than one write takes, and a guest of more than
	 * one vCPU may have left any amount there */
	while (console && console->waiting && (left = end - clock_ms()) > 0 &&
	       poll(fds, ARRAY_SIZE(fds), (int)left) > 0 && !fds[1].revents)
		drain(console);
}

void console_detach(struct console *console)
{
	if (!console || !console->loop)
		return;
	event_loop_remove(console->loop, &console->source_in);
	event_loop_remove(console->loop, &console->source_out);
	event_loop_remove(console->loop, &console->source_size);
	cleanup_close(&console->source_size.fd);
	console->source_size.fd = -1;
	console->loop = NULL;
	if (console->terminal)
		terminal_restore();
}
