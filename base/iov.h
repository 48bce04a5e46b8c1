/* A cursor over a list of iovecs, as a virtqueue chain gives them.
 *
 * The cursor owns nothing: list and memory stay the caller's. It moves
 * forward only, and never past the end: a call that asks for more than is
 * left does what it can and returns how much that was. One thread at a time.
 */
#pragma once

#include <stddef.h>
#include <sys/uio.h>

struct iov_cursor {
	const struct iovec *iov;
	unsigned count; /* iovecs left, the current one included */
	size_t offset;	/* bytes already passed in the current one */
};

static inline struct iov_cursor iov_cursor(const struct iovec *iov,
					   unsigned count)
{
	return (struct iov_cursor){ .iov = iov, .count = count };
}

/* Bytes of a whole list. */
size_t iov_length(const struct iovec *iov, unsigned count);

/* The next contiguous piece, at most len bytes, and moves past it. An iov_len
 * of 0 in the result means the end. */
struct iovec iov_next(struct iov_cursor *cursor, size_t len);

/* Copy len bytes out of, or into, the memory behind the cursor and move on;
 * return the bytes copied. */
size_t iov_read(struct iov_cursor *cursor, void *buf, size_t len);
size_t iov_write(struct iov_cursor *cursor, const void *buf, size_t len);

/* Moves over len bytes; returns how many there were. */
size_t iov_skip(struct iov_cursor *cursor, size_t len);

/* Lists the pieces of the next len bytes in out, which has room for
 * cursor->count of them, and moves on; returns how many pieces there are. */
unsigned iov_take(struct iov_cursor *cursor, size_t len, struct iovec *out);
