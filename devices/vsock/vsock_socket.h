/* The file of the listening Unix socket by which programs of the host reach a
 * guest's socket device. Set-up code; main thread.
 */
#pragma once

#include "base/error.h"
#include "base/file_id.h"

/* The longest path, in bytes. Programs to which the guest connects listen at
 * PATH_<port>, and "_4294967295" has to fit into the 107 bytes of unix(7). */
#define VSOCK_PATH_MAX 96

struct vsock_socket {
	int fd; /* non-blocking; -1: none */
	const char *path;
	struct file_id file;
};

/* Creates the socket and listens. A file that is at path already is an error,
 * unless it is a socket on which nobody listens any more: that is replaced.
 * path has at most VSOCK_PATH_MAX bytes and outlives the socket. 0, or -1 with
 * err set ("vsock PATH: ...") and nothing left behind. */
int vsock_socket_open(struct vsock_socket *socket, const char *path,
		      struct error *err);

/* Closes the socket and removes its file, unless somebody has put another one
 * in its place. */
void vsock_socket_close(struct vsock_socket *socket);
