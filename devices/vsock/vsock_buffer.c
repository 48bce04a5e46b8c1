#include "devices/vsock/vsock_buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

void vsock_buffer_clear(struct vsock_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct vsock_buffer){ 0 };
}

/* How many of len bytes from `at` on lie before the end of the ring. */
static uint32_t until_end(uint32_t at, uint32_t len)
{
	return len < VSOCK_BUFFER_SIZE - at ? len : VSOCK_BUFFER_SIZE - at;
}

int vsock_buffer_add(struct vsock_buffer *buffer, struct iov_cursor *from,
		     uint32_t len)
{
	uint32_t end = (buffer->start + buffer->count) % VSOCK_BUFFER_SIZE;
	uint32_t first = until_end(end, len);

	if (!len)
		return 0;
	if (!buffer->data)
		buffer->data = malloc(VSOCK_BUFFER_SIZE);
	if (!buffer->data)
		return -ENOMEM;
	iov_read(from, buffer->data + end, first);
	iov_read(from, buffer->data, len - first);
	buffer->count += len;
	return 0;
}

int vsock_buffer_send(struct vsock_buffer *buffer, int fd)
{
	uint32_t first = until_end(buffer->start, buffer->count);
	struct iovec iov[] = {
		{ buffer->data + buffer->start, first },
		{ buffer->data, buffer->count - first },
	};
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t sent;

	if (!buffer->count)
		return 0;
	sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return -errno;
	buffer->start = (buffer->start + (uint32_t)sent) % VSOCK_BUFFER_SIZE;
	buffer->count -= (uint32_t)sent;
	if (!buffer->count)
		vsock_buffer_clear(buffer);
	return (int)sent;
}
