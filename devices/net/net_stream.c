#include "devices/net/net_stream.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/iov.h"
#include "base/log.h"

#define LENGTH sizeof(uint32_t) /* bytes of the length before a frame */

/* Bytes of the longest frame. passt drops a guest that sends a longer one. */
#define SEND_MAX 65535

#define IN_SIZE (128 * 1024)
#define OUT_SIZE (LENGTH + SEND_MAX)
static_assert(IN_SIZE >= LENGTH + NET_FRAME_MAX, "room for any frame");

struct net_stream {
	struct net_backend backend;
	/* What was received and not passed on yet is in[in_start .. in_end). */
	size_t in_start, in_end;
	/* What is to be sent is the last backend.unsent bytes of
	 * out[0 .. out_end). */
	size_t out_end;
	uint8_t in[IN_SIZE];
	uint8_t out[OUT_SIZE];
};

static struct net_stream *from_backend(struct net_backend *backend)
{
	return container_of(backend, struct net_stream, backend);
}

/* --- receive --- */

/* How many bytes the frame at the front and its length take: LENGTH while the
 * length has not come, and 0 when no frame can be that long. */
static size_t front_size(const struct net_stream *stream)
{
	uint32_t len;

	if (stream->in_end - stream->in_start < LENGTH)
		return LENGTH;
	memcpy(&len, stream->in + stream->in_start, LENGTH);
	len = be32toh(len);
	return len > NET_FRAME_MAX ? 0 : LENGTH + len;
}

/* Whether a whole frame is at the front. Sets backend.next. */
static bool look_ahead(struct net_stream *stream)
{
	size_t ready = stream->in_end - stream->in_start;
	size_t size = front_size(stream);

	if (!size && !stream->backend.gone) {
		log_guest(LOG_ERROR, "net: %s is out of step",
			  stream->backend.name);
		stream->backend.gone = true;
	}
	stream->backend.next = 0;
	if (size > LENGTH && size <= ready)
		stream->backend.next = NET_HEADER + size - LENGTH;
	return stream->backend.next;
}

/* Skips lengths of 0, which announce no frame. The loop is bounded by what the
 * buffer holds. */
static void skip_empty(struct net_stream *stream)
{
	static const uint8_t empty[LENGTH];

	while (stream->in_end - stream->in_start >= LENGTH &&
	       memcmp(stream->in + stream->in_start, empty, LENGTH) == 0)
		stream->in_start += LENGTH;
}

/* Makes room for the rest of the frame at the front. */
static void make_room(struct net_stream *stream)
{
	size_t ready = stream->in_end - stream->in_start;

	if (ready && IN_SIZE - stream->in_start >= LENGTH + NET_FRAME_MAX)
		return;
	memmove(stream->in, stream->in + stream->in_start, ready);
	stream->in_start = 0;
	stream->in_end = ready;
}

static bool fetch(struct net_backend *backend)
{
	struct net_stream *stream = from_backend(backend);
	ssize_t got;

	if (backend->gone || backend->next)
		return backend->next;
	make_room(stream);
	got = recv(backend->fd, stream->in + stream->in_end,
		   IN_SIZE - stream->in_end, MSG_DONTWAIT);
	if (got == 0 || (got < 0 && errno != EAGAIN))
		backend->gone = true;
	if (got > 0)
		stream->in_end += (size_t)got;
	skip_empty(stream);
	return look_ahead(stream);
}

static ssize_t receive(struct net_backend *backend, struct iovec *iov,
		       unsigned count, size_t capacity)
{
	static const uint8_t header[NET_HEADER];
	struct net_stream *stream = from_backend(backend);
	struct iov_cursor cursor = iov_cursor(iov, count);
	size_t size = backend->next;

	if (!size)
		return -1;
	stream->in_start += LENGTH;
	if (size <= capacity) {
		iov_write(&cursor, header, sizeof(header));
		iov_write(&cursor, stream->in + stream->in_start,
			  size - NET_HEADER);
	}
	stream->in_start += size - NET_HEADER;
	skip_empty(stream);
	look_ahead(stream);
	return (ssize_t)size;
}

/* --- send --- */

/* Returns how many bytes the socket took, 0 when it has no room. If the other
 * end is gone, the bytes are lost and count as sent. */
static size_t send_some(struct net_stream *stream, struct iovec *iov,
			unsigned count, size_t len)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = count };
	ssize_t sent =
		sendmsg(stream->backend.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent >= 0)
		return (size_t)sent;
	if (errno == EAGAIN)
		return 0;
	stream->backend.gone = true;
	return len;
}

static void flush(struct net_backend *backend)
{
	struct net_stream *stream = from_backend(backend);
	struct iovec iov = {
		.iov_base = stream->out + stream->out_end - backend->unsent,
		.iov_len = backend->unsent,
	};

	backend->unsent -= send_some(stream, &iov, 1, iov.iov_len);
}

/* Keeps the bytes behind the first `sent` ones for flush(). */
static void keep_rest(struct net_stream *stream, const struct iovec *iov,
		      unsigned count, size_t sent)
{
	struct iov_cursor cursor = iov_cursor(iov, count);

	iov_skip(&cursor, sent);
	stream->out_end = iov_read(&cursor, stream->out, OUT_SIZE);
	stream->backend.unsent = stream->out_end;
}

/* Lists the frame's length and the frame in `to`, and leaves out the virtio-net
 * header, which may lie in several buffers. Returns the number of entries. */
static unsigned frame_iov(struct iovec *to, uint32_t *length,
			  const struct iovec *iov, unsigned count)
{
	size_t skip = NET_HEADER;
	unsigned used = 1;

	to[0] = (struct iovec){ .iov_base = length, .iov_len = LENGTH };
	for (unsigned i = 0; i < count; i++) {
		size_t piece = skip < iov[i].iov_len ? skip : iov[i].iov_len;

		skip -= piece;
		to[used++] = (struct iovec){
			.iov_base = (uint8_t *)iov[i].iov_base + piece,
			.iov_len = iov[i].iov_len - piece,
		};
	}
	return used;
}

static bool send_frame(struct net_backend *backend, const struct iovec *iov,
		       unsigned count)
{
	struct net_stream *stream = from_backend(backend);
	size_t len = iov_length(iov, count) - NET_HEADER, sent;
	uint32_t length = htobe32((uint32_t)len);
	struct iovec frame[1 + CHAIN_IOV_MAX];
	unsigned used;

	if (backend->gone || len > SEND_MAX)
		return true;
	if (backend->unsent)
		flush(backend);
	if (backend->unsent)
		return false;
	used = frame_iov(frame, &length, iov, count);
	sent = send_some(stream, frame, used, LENGTH + len);
	if (!sent)
		return false;
	if (sent < LENGTH + len)
		keep_rest(stream, frame, used, sent);
	return true;
}

static const struct net_backend_ops stream_ops = {
	.fetch = fetch,
	.receive = receive,
	.send = send_frame,
	.flush = flush,
};

/* --- life --- */

struct net_stream *net_stream_create(int fd, const char *name,
				     struct error *err)
{
	/* a large calloc() touches no page of the buffers */
	struct net_stream *stream = calloc(1, sizeof(*stream));

	if (!stream) {
		close(fd);
		error_set(err, ERROR_IO, ENOMEM, "%s", name);
		return NULL;
	}
	stream->backend.ops = &stream_ops;
	stream->backend.name = name;
	stream->backend.fd = fd;
	return stream;
}

struct net_backend *net_stream_backend(struct net_stream *stream)
{
	return &stream->backend;
}

void net_stream_destroy(struct net_stream *stream)
{
	if (!stream)
		return;
	close(stream->backend.fd);
	free(stream);
}
