/* The listening Unix socket by which programs of the host reach a guest's
 * socket device, as a file.
 *
 * Set-up code; main thread.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "base/error.h"

/* The longest path, in bytes: "_4294967295" has to fit behind it for the
 * guest's own connections (unix(7): 107 bytes). */
#define VSOCK_PATH_MAX 96

struct vsock_socket {
	int fd; /* non-blocking; -1: none */
	const char *path;
	dev_t dev; /* which file it is */
	ino_t ino;
};

/* Creates the socket and listens. Whatever stands at path is left alone and
 * refused, but for a socket that nobody listens on any more. path, at most
 * VSOCK_PATH_MAX bytes, outlives the socket. -1 with err set ("vsock PATH:
 * ..."), and nothing left behind. */
int vsock_socket_open(struct vsock_socket *socket, const char *path,
		      struct error *err);

/* Whether a file is the socket's. */
bool vsock_socket_is(const struct vsock_socket *socket, const struct stat *st);

/* Removes the file, unless it is another one by now. */
void vsock_socket_remove(const struct vsock_socket *socket);

/* That, and listens no more. */
void vsock_socket_close(struct vsock_socket *socket);
