/* Connections to programs of the host that listen on a Unix socket.
 *
 * The descriptors returned are non-blocking and close on exec. No function
 * waits: a program whose backlog is full counts as absent. Devices get these
 * functions as their connect functions, whose ctx is path: a char * of any
 * length. Any thread.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"

/* Connects to the socket at path, for struct vhost_user_options. Returns the
 * descriptor, or -1 with err set to the reason, without the path. */
int unix_socket_connect(void *path, struct error *err);

/* Connects to the socket at PATH_<port>, for struct virtio_vsock_options.
 * Returns the descriptor, or -1. Logs a lack of descriptors or memory, because
 * the guest only learns that the connection failed. */
int unix_socket_connect_port(void *path, uint32_t port);
