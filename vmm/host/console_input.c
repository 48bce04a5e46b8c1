/* Input of a console: what the user types or pipes goes to the guest. */
#include "vmm/host/console_private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/container_of.h"

#define ESCAPE 0x01   /* Ctrl-A */
#define INPUT_MAX 256 /* bytes per read */

/* --- escape keys --- */

static void print_keys(struct console *console)
{
	static char keys[] =
		"\r\n"
		"Ctrl-A h       print this help\r\n"
		"Ctrl-A x       end the VM at once\r\n"
		"Ctrl-A Ctrl-A  send Ctrl-A to the guest\r\n";

	struct iovec iov = { .iov_base = keys, .iov_len = sizeof(keys) - 1 };

	console_write(console, &iov, 1);
}

/* Obeys the escape keys and removes them from data. Returns the new length. */
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

/* --- from the host to the port --- */

static void give_pending(struct console *console)
{
	size_t taken = console->port.ops->receive(
		console->port.dev, console->pending, console->pending_len);

	console->pending_len -= taken;
	memmove(console->pending, console->pending + taken,
		console->pending_len);
}

/* Keeps input for the port. Drops what does not fit, as a terminal does. That
 * happens only at a terminal: other input is not read while any is pending. */
static void hold(struct console *console, const uint8_t *data, size_t len)
{
	size_t room = sizeof(console->pending) - console->pending_len;

	if (len > room)
		len = room;
	memcpy(console->pending + console->pending_len, data, len);
	console->pending_len += len;
}

/* epoll reports a hang-up again and again, even to those who did not ask for
 * it. While no input is wanted, the source is therefore not in the loop. While
 * input is wanted, EPOLLET has it reported once, until this function asks
 * again. */
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

/* Reads once. False at the end of the input, or when there is none now. */
static bool read_input(struct console *console)
{
	uint8_t data[INPUT_MAX];
	ssize_t got;
	size_t len;

	do
		got = read(console->in, data, sizeof(data));
	while (got < 0 && errno == EINTR);
	/* EIO: nobody has the pty open, or another job has the terminal. */
	if (got < 0 && (errno == EAGAIN || errno == EIO))
		return false;
	if (got <= 0) {
		event_loop_remove(console->loop, &console->source_in);
		console->pollable = false;
		console->read_more = false;
		return false;
	}
	len = (size_t)got;
	if (console->terminal)
		len = filter_escapes(console, data, len);
	hold(console, data, len);
	return true;
}

/* The port has room, or is new. Input for which epoll cannot wait is read here,
 * until the port is full or the input ends. */
void console_make_room(void *ctx)
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

/* A read that found nothing need not ask again: EPOLLET reports the next byte. */
void console_input_ready(struct event_source *source, uint32_t events)
{
	struct console *console =
		container_of(source, struct console, source_in);

	(void)events;
	if (!read_input(console))
		return;
	give_pending(console);
	watch_input(console);
}
