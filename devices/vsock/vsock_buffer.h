/* Bytes of one connection that its socket has not taken yet.
 *
 * Memory is held only while there are some. Under the device's mutex.
 */
#pragma once

#include <stdint.h>

#include "base/iov.h"

/* What a connection announces as its buf_alloc, and so all that a guest may
 * have under way to one socket. */
#define VSOCK_BUFFER_SIZE (128u << 10)

struct vsock_buffer {
	uint8_t *data; /* NULL while empty */
	uint32_t start;
	uint32_t count;
};

/* Appends len bytes, for which there must be room. 0 or -ENOMEM. */
int vsock_buffer_add(struct vsock_buffer *buffer, struct iov_cursor *from,
		     uint32_t len);

/* Sends what the socket takes without waiting: the bytes sent, which have left
 * the buffer, or -errno. */
int vsock_buffer_send(struct vsock_buffer *buffer, int fd);

/* Drops all bytes. */
void vsock_buffer_clear(struct vsock_buffer *buffer);
