/* The bytes from the guest that a connection's socket has not taken yet.
 *
 * The buffer has memory only while it is not empty. Under the device's mutex.
 */
#pragma once

#include <stdint.h>

#include "base/iov.h"

/* Bytes. The guest is told this as a connection's buf_alloc, and may not send
 * more than that to a socket that takes nothing. */
#define VSOCK_BUFFER_SIZE (128u << 10)

struct vsock_buffer {
	uint8_t *data; /* NULL while empty */
	uint32_t start;
	uint32_t count;
};

/* Appends len bytes, for which the buffer must have room. 0 or -ENOMEM. */
int vsock_buffer_add(struct vsock_buffer *buffer, struct iov_cursor *from,
		     uint32_t len);

/* Sends as many bytes as the socket takes without waiting, and drops them from
 * the buffer. Returns their number, or -errno. */
int vsock_buffer_send(struct vsock_buffer *buffer, int fd);

/* Drops all bytes. */
void vsock_buffer_clear(struct vsock_buffer *buffer);
