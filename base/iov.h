/* A cursor over a list of iovecs, as in a virtqueue chain.
 *
 * The list and the memory stay the caller's. The cursor moves forward only, and
 * never past the end: a call that asks for more than is left returns how much
 * it got. One thread at a time.
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

/* The bytes of a whole list. */
size_t iov_length(const struct iovec *iov, unsigned count);

/* Returns the next contiguous piece, at most len bytes, and moves past it. An
 * iov_len of 0 in the result means the end. */
struct iovec iov_next(struct iov_cursor *cursor, size_t len);

/* Copy len bytes out of, or into, the memory at the cursor and move on. Return
 * the bytes copied. */
size_t iov_read(struct iov_cursor *cursor, void *buf, size_t len);
size_t iov_write(struct iov_cursor *cursor, const void *buf, size_t len);

/* Moves over len bytes. Returns how many there were. */
size_t iov_skip(struct iov_cursor *cursor, size_t len);

/* Lists the pieces of the next len bytes in out, which has room for
 * cursor->count of them, and moves on. Returns the number of pieces. */
unsigned iov_take(struct iov_cursor *cursor, size_t len, struct iovec *out);
