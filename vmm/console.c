#include "vmm/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define ESCAPE 0x01 /* Ctrl-A */

/* A write of at most this many bytes to a pipe that polls writable does not
 * block (POSIX's PIPE_BUF). */
#define WRITE_MAX 4096

struct console {
	int in, out; /* -1: none */
	bool owns_in, owns_out;
	bool terminal;	/* in is the user's terminal: raw, with escape keys */
	bool escaped;	/* Ctrl-A was the last key */
	bool pollable;	/* in can be waited for; regular files cannot */
	bool read_more; /* the port had room when last asked */
	struct event_source source_in, source_out;
	struct event_source *writer; /* the source that waits for EPOLLOUT */
	struct serial *serial;
	struct event_loop *loop;
	struct timeline *timeline;
	void (*quit)(void *);
	void *quit_ctx;
	uint8_t pending[64]; /* read, but not yet taken by the port */
	size_t pending_len;
};

/* --- the user's terminal --- */

/* A signal handler cannot be told where these are; written before the
 * handlers are installed. */
static struct termios saved_termios;
static volatile sig_atomic_t termios_saved;

static void terminal_restore(void)
{
	if (termios_saved)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved_termios);
}

static void restore_and_die(int signal)
{
	terminal_restore();
	raise(signal); /* SA_RESETHAND: this time it kills */
}

static void terminal_set_raw(void)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
	struct sigaction action = { .sa_handler = restore_and_die,
				    .sa_flags = SA_RESETHAND | SA_NODEFER };
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &saved_termios))
		return;
	if (!termios_saved) {
		termios_saved = 1;
		atexit(terminal_restore);
		for (unsigned i = 0; i < ARRAY_SIZE(fatal); i++)
			sigaction(fatal[i], &action, NULL);
	}
	raw = saved_termios;
	cfmakeraw(&raw);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void print_keys(void)
{
	static const char keys[] =
		"\r\n"
		"Ctrl-A h       this help\r\n"
		"Ctrl-A x       end the VM at once\r\n"
		"Ctrl-A Ctrl-A  send Ctrl-A to the guest\r\n";

	if (write(STDOUT_FILENO, keys, sizeof(keys) - 1) < 0)
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
				print_keys();
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
	size_t taken = serial_receive(console->serial, console->pending,
				      console->pending_len);

	console->pending_len -= taken;
	memmove(console->pending, console->pending + taken,
		console->pending_len);
}

/* Which events the one source of a descriptor used both ways waits for. */
static uint32_t in_events(const struct console *console)
{
	bool out = console->writer == &console->source_in;

	return (console->pending_len ? 0 : EPOLLIN) |
	       (out ? (uint32_t)EPOLLOUT : 0);
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
	ssize_t got =
		read(console->in, console->pending, sizeof(console->pending));

	if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == EIO))
		return false; /* EIO: nobody has the pty open yet */
	if (got <= 0) {
		stop_reading(console);
		return false;
	}
	console->pending_len = (size_t)got;
	if (console->terminal)
		console->pending_len = filter_escapes(console, console->pending,
						      console->pending_len);
	return true;
}

/* Moves input on until the port is full. A descriptor that can be waited for
 * is read once per event, any other until its end. */
static void pump_input(struct console *console)
{
	do
		give_pending(console);
	while (!console->pending_len && console->read_more &&
	       read_input(console));
}

static void on_room(void *ctx)
{
	struct console *console = ctx;

	if (!console->loop)
		return;
	pump_input(console);
	if (console->pollable && !console->pending_len)
		event_loop_modify(console->loop, &console->source_in,
				  in_events(console));
}

/* --- output: guest to host --- */

static void drain(struct console *console)
{
	console->writer = NULL;
	serial_resume(console->serial);
}

static void out_ready(struct event_source *source, uint32_t events)
{
	struct console *console =
		(struct console *)((char *)source -
				   offsetof(struct console, source_out));

	(void)events;
	event_loop_remove(console->loop, source);
	drain(console);
}

static void in_ready(struct event_source *source, uint32_t events)
{
	struct console *console =
		(struct console *)((char *)source -
				   offsetof(struct console, source_in));

	if (console->writer == source && (events & EPOLLOUT))
		drain(console);
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) &&
	    !console->pending_len && read_input(console))
		give_pending(console);
	if (console->pollable)
		event_loop_modify(console->loop, source, in_events(console));
}

static void wait_writable(struct console *console)
{
	if (console->in == console->out && console->pollable) {
		console->writer = &console->source_in;
		event_loop_modify(console->loop, &console->source_in,
				  in_events(console));
	} else {
		console->writer = &console->source_out;
		event_loop_add(console->loop, &console->source_out, EPOLLOUT);
	}
}

static size_t on_put(void *ctx, const uint8_t *data, size_t len)
{
	struct console *console = ctx;
	ssize_t done;

	timeline_mark(console->timeline, TIMELINE_FIRST_BYTE);
	if (console->out < 0)
		return len;
	if (len > WRITE_MAX)
		len = WRITE_MAX;
	done = write(console->out, data, len);
	if (done == (ssize_t)len)
		return len;
	if (done < 0 && errno != EAGAIN && errno != EINTR) {
		/* the reader is gone for good: the guest goes on without */
		log_guest(LOG_WARN, "console: write: %s", strerror(errno));
		return len;
	}
	wait_writable(console);
	return done < 0 ? 0 : (size_t)done;
}

const struct serial_backend console_backend = {
	.put = on_put,
	.room = on_room,
};

/* --- life --- */

/* A non-blocking descriptor for the same terminal or pipe, without touching
 * the flags of the one we share with our parent. Anything else (regular
 * files, sockets) is written as it is. */
static void open_stdout(struct console *console)
{
	struct stat st;

	console->out = STDOUT_FILENO;
	if (fstat(STDOUT_FILENO, &st) ||
	    !(S_ISFIFO(st.st_mode) || isatty(STDOUT_FILENO)))
		return;
	int fd = open("/proc/self/fd/1",
		      O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return;
	console->out = fd;
	console->owns_out = true;
}

static int open_pty(struct console *console, struct error *err)
{
	struct termios raw;
	char path[64];
	int master, slave;

	if (openpty(&master, &slave, path, NULL, NULL))
		return error_set(err, ERROR_IO, errno, "console: open a pty");
	if (tcgetattr(slave, &raw) == 0) {
		cfmakeraw(&raw);
		tcsetattr(slave, TCSANOW, &raw);
	}
	close(slave);
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(master, F_SETFL, O_NONBLOCK);
	console->in = console->out = master;
	console->owns_in = true;
	fprintf(stderr, "onggi: console is %s\n", path);
	return 0;
}

static int open_file(struct console *console, const char *path,
		     struct error *err)
{
	console->out =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (console->out < 0)
		return error_set(err, ERROR_IO, errno, "console: open %s",
				 path);
	console->owns_out = true;
	return 0;
}

struct console *console_open(const struct config_console *config,
			     struct timeline *timeline, struct error *err)
{
	struct console *console = calloc(1, sizeof(*console));
	int ret = 0;

	if (!console) {
		error_set(err, ERROR_IO, ENOMEM, "console");
		return NULL;
	}
	console->in = console->out = -1;
	console->timeline = timeline;
	if (config->stdio) {
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

void console_close(struct console *console)
{
	if (!console)
		return;
	if (console->owns_in)
		close(console->in);
	if (console->owns_out)
		close(console->out);
	free(console);
}

int console_attach(struct console *console, struct serial *serial,
		   struct event_loop *loop, void (*quit)(void *), void *ctx,
		   struct error *err)
{
	int ret;

	console->serial = serial;
	console->loop = loop;
	console->quit = quit;
	console->quit_ctx = ctx;
	console->writer = NULL;
	console->source_in = (struct event_source){ .fd = console->in,
						    .ready = in_ready,
						    .lock = &serial->lock };
	console->source_out = (struct event_source){ .fd = console->out,
						     .ready = out_ready,
						     .lock = &serial->lock };
	if (console->in < 0)
		return 0;
	ret = event_loop_add(loop, &console->source_in, EPOLLIN);
	if (ret && ret != -EPERM)
		return error_set(err, ERROR_IO, -ret, "console: watch stdin");
	console->pollable = ret == 0;
	/* EPERM: a regular file, always ready */
	console->read_more = ret == -EPERM;
	if (console->terminal)
		terminal_set_raw();
	return 0;
}

#define FLUSH_TIMEOUT_MS 10000

/* Bytes that the port has accepted must not get lost with the VM: waits a
 * little for a reader that is slow. vCPUs have stopped. */
static void flush(struct console *console)
{
	struct pollfd out = { .fd = console->out, .events = POLLOUT };

	while (console->writer && poll(&out, 1, FLUSH_TIMEOUT_MS) > 0)
		drain(console);
}

void console_detach(struct console *console)
{
	if (!console->loop)
		return;
	flush(console);
	event_loop_remove(console->loop, &console->source_in);
	event_loop_remove(console->loop, &console->source_out);
	console->loop = NULL;
	if (console->terminal)
		terminal_restore();
}
