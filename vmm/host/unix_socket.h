/* Connections to programs of the host that listen on a Unix socket.
 *
 * The descriptors returned do not block and are closed on exec. No function
 * waits: a program that does not accept at once counts as absent. The types of
 * the arguments are those of the connect functions that devices are given: path
 * is a char * that may have any length. Any thread.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"

/* Connects to the socket at path, as struct vhost_user_options asks for.
 * Returns the descriptor, or -1 with the reason alone in err. */
int unix_socket_connect(void *path, struct error *err);

/* Connects to the socket at PATH_<port>, as struct virtio_vsock_options asks
 * for. Returns the descriptor, or -1; a lack of descriptors or memory is
 * logged, because the guest is told nothing about the host. */
int unix_socket_connect_port(void *path, uint32_t port);
