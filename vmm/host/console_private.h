/* What the files of the console share; see console.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/host/console.h"

/* How console_write() avoids to wait for a reader. onggi does not set
 * O_NONBLOCK on a file that it shares with other processes. */
enum console_out {
	CONSOLE_OUT_NONBLOCK, /* by O_NONBLOCK, or the file never waits */
	CONSOLE_OUT_SOCKET,   /* a shared socket: by MSG_DONTWAIT */
	CONSOLE_OUT_POLL, /* another shared file: by poll() before a write */
};

struct console {
	const char *name; /* in messages */
	struct console_port port;
	struct event_loop *loop; /* NULL: attached to no port */
	struct timeline *timeline;
	bool stdio;
	bool pty; /* whether or not anybody has its other end open */
	void (*quit)(void *);
	void *quit_ctx;
	struct event_source source_size;

	int out; /* -1: none */
	enum console_out out_kind;
	bool out_failed;  /* a warning has been logged */
	bool waiting;	  /* the port waits until source_out is ready */
	bool untouched;	  /* out is a file that has its old content */
	const char *made; /* the path of a file to remove; NULL: none */
	struct event_source source_out;

	int in;		/* -1: none */
	bool terminal;	/* the user's: raw, with escape keys */
	bool escaped;	/* Ctrl-A was the last key */
	bool pollable;	/* epoll can wait for input; not for a regular file */
	bool read_more; /* input is not pollable and has not ended */
	uint8_t pending[1024]; /* input that the port has not taken yet */
	size_t pending_len;
	struct event_source source_in;
};

/* Like writev(), but never waits for the other end: -1 with EAGAIN instead. */
ssize_t console_write(struct console *console, struct iovec *iov,
		      unsigned count);

/* The callbacks of struct console_backend, and of source_out and source_in. */
size_t console_put(void *ctx, struct iovec *iov, unsigned count);
void console_make_room(void *ctx);
void console_output_ready(struct event_source *source, uint32_t events);
void console_input_ready(struct event_source *source, uint32_t events);
