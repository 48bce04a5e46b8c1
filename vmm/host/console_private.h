/* What the files of the console share; see console.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/host/console.h"

enum console_out {
	CONSOLE_OUT_NONBLOCK, /* write() does not wait, or not for a reader */
	CONSOLE_OUT_SOCKET,   /* shared: each call says that it does not wait */
	CONSOLE_OUT_POLL,     /* shared: can only be asked before a write() */
};

struct console {
	const char *name; /* in messages */
	struct console_port port;
	struct event_loop *loop; /* NULL: attached to no port */
	struct timeline *timeline;
	bool stdio;
	bool pty; /* ours, whether or not anybody is at the other end */
	void (*quit)(void *);
	void *quit_ctx;
	struct event_source source_size;

	int out; /* -1: none */
	enum console_out out_kind;
	bool out_failed;  /* a warning has been logged */
	bool waiting;	  /* for source_out: the port is blocked */
	bool untouched;	  /* out is a file that no VM has written to yet */
	const char *made; /* the file's name if console_open() has made it */
	struct event_source source_out;

	int in;		/* -1: none */
	bool terminal;	/* the user's: raw, with escape keys */
	bool escaped;	/* Ctrl-A was the last key */
	bool pollable;	/* epoll can wait for it, as not for a regular file */
	bool read_more; /* it is not pollable and has not ended */
	uint8_t pending[1024]; /* read, not taken by the port */
	size_t pending_len;
	struct event_source source_in;
};

/* Like writev(), but never waits for the other end. */
ssize_t console_write(struct console *console, struct iovec *iov,
		      unsigned count);

/* The callbacks of struct console_backend, and of source_out and source_in. */
size_t console_put(void *ctx, struct iovec *iov, unsigned count);
void console_make_room(void *ctx);
void console_output_ready(struct event_source *source, uint32_t events);
void console_input_ready(struct event_source *source, uint32_t events);
