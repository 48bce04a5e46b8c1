#include "base/iov.h"

#include <string.h>

size_t iov_length(const struct iovec *iov, unsigned count)
{
	size_t total = 0;

	for (unsigned i = 0; i < count; i++)
		total += iov[i].iov_len;
	return total;
}

struct iovec iov_next(struct iov_cursor *cursor, size_t len)
{
	while (cursor->count && cursor->offset == cursor->iov->iov_len) {
		cursor->iov++;
		cursor->count--;
		cursor->offset = 0;
	}
	if (!cursor->count)
		return (struct iovec){ 0 };

	struct iovec piece = {
		.iov_base = (char *)cursor->iov->iov_base + cursor->offset,
		.iov_len = cursor->iov->iov_len - cursor->offset,
	};

	if (piece.iov_len > len)
		piece.iov_len = len;
	cursor->offset += piece.iov_len;
	return piece;
}

/* Moves over len bytes, and copies them to `to` or from `from`, unless that is
 * NULL. */
static size_t move(struct iov_cursor *cursor, char *to, const char *from,
		   size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct iovec piece = iov_next(cursor, len - done);

		if (!piece.iov_len)
			break;
		if (to)
			memcpy(to + done, piece.iov_base, piece.iov_len);
		if (from)
			memcpy(piece.iov_base, from + done, piece.iov_len);
		done += piece.iov_len;
	}
	return done;
}

size_t iov_read(struct iov_cursor *cursor, void *buf, size_t len)
{
	return move(cursor, buf, NULL, len);
}

size_t iov_write(struct iov_cursor *cursor, const void *buf, size_t len)
{
	return move(cursor, NULL, buf, len);
}

size_t iov_skip(struct iov_cursor *cursor, size_t len)
{
	return move(cursor, NULL, NULL, len);
}

unsigned iov_take(struct iov_cursor *cursor, size_t len, struct iovec *out)
{
	unsigned count = 0;

	while (len > 0) {
		struct iovec piece = iov_next(cursor, len);

		if (!piece.iov_len)
			break;
		out[count++] = piece;
		len -= piece.iov_len;
	}
	return count;
}
