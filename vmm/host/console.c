/* Opens a console and connects it to the port of each VM in turn. */
#include "vmm/host/console_private.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/container_of.h"
#include "vmm/host/terminal.h"

const struct console_backend console_backend = {
	.put = console_put,
	.room = console_make_room,
};

/* --- the size of a terminal --- */

/* The terminal that shows the output or, without one, the terminal at which the
 * user types. -1: there is neither. */
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

/* The kernel sends SIGWINCH to the foreground job of the terminal. */
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
		return error_set(err, ERROR_IO, errno, "%s: watch window size",
				 console->name);
	tell_size(console);
	return 0;
}

/* --- open and close --- */

/* Opens a terminal or pipe once more, so that O_NONBLOCK is not set for the
 * processes that share stdout as well. A socket cannot be opened again. Writers
 * to other files never wait for a reader. */
static void open_stdout(struct console *console)
{
	struct stat st;

	console->out = STDOUT_FILENO;
	if (fstat(STDOUT_FILENO, &st))
		return;
	if (S_ISSOCK(st.st_mode)) {
		console->out_kind = CONSOLE_OUT_SOCKET;
	} else if (S_ISFIFO(st.st_mode) || isatty(STDOUT_FILENO)) {
		int fd = open("/proc/self/fd/1",
			      O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

		if (fd >= 0)
			console->out = fd;
		else /* the terminal belongs to another user */
			console->out_kind = CONSOLE_OUT_POLL;
	}
}

/* Input and output have a descriptor each, because epoll takes a descriptor only
 * once. This closes the slave: if onggi kept it open, it could not tell whether
 * anybody reads, and the guest would wait for a reader that never comes. */
static int open_pty(struct console *console, struct error *err)
{
	struct termios modes;
	char path[64];
	int slave;

	if (openpty(&console->in, &slave, path, NULL, NULL))
		return error_set(err, ERROR_IO, errno, "%s: open a pty",
				 console->name);
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
	console->pty = true;
	fprintf(stderr, "onggi: %s is %s\n", console->name, path);
	return 0;
}

/* Does not wait for the reader of a FIFO, which has to be there already. */
static int open_file(struct console *console, const char *path,
		     struct error *err)
{
	const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK |
			  O_NOCTTY;

	console->untouched = true;
	console->out = open(path, flags | O_EXCL, 0666);
	if (console->out >= 0)
		console->made = path;
	else
		console->out = open(path, flags, 0666);
	if (console->out < 0)
		return error_io(err, "%s: open %s: %s%s", console->name, path,
				strerror(errno),
				errno == ENXIO ? " (the pipe has no reader yet)"
					       : "");
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
	console->source_in.ready = console_input_ready;
	console->source_out.ready = console_output_ready;
	console->source_size.ready = size_changed;
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
	console->source_in.fd = console->in;
	console->source_out.fd = console->out;
	return console;
}

/* Empties the file once there is a VM to write to it. */
static void take_file(struct console *console)
{
	bool untouched = console->untouched;

	console->untouched = false;
	console->made = NULL;
	if (untouched && ftruncate(console->out, 0))
		return; /* a pipe or a device, which has no content */
}

void console_close(struct console *console)
{
	if (!console)
		return;
	if (console->made)
		unlink(console->made);
	if (console->in != STDIN_FILENO)
		cleanup_close(&console->in);
	if (console->out != STDOUT_FILENO)
		cleanup_close(&console->out);
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
	console->source_in.lock = port->lock;
	console->source_out.lock = port->lock;
	console->source_size.lock = port->lock;
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
	/* epoll refuses regular files with EPERM; they are always ready. */
	console->read_more = ret == -EPERM;
	if (console->terminal)
		terminal_set_raw();
	/* Input may be left from before a reboot, or be in a regular file. */
	console_make_room(console);
	return 0;
}

void console_detach(struct console *console)
{
	if (!console || !console->loop)
		return;
	event_loop_remove(console->loop, &console->source_in);
	event_loop_remove(console->loop, &console->source_out);
	event_loop_remove(console->loop, &console->source_size);
	cleanup_close(&console->source_size.fd);
	console->loop = NULL;
	if (console->terminal)
		terminal_restore();
}
