#include "devices/vsock/vsock_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static const char word[] = "CONNECT ";

/* Parses the whole line, which ends with a line break. */
static int parse(const struct vsock_line *line, uint32_t *port)
{
	const char *at = line->text + sizeof(word) - 1;
	unsigned long long value;
	char *end;

	if (line->len < sizeof(word) ||
	    strncasecmp(line->text, word, sizeof(word) - 1) != 0 || *at < '0' ||
	    *at > '9')
		return -EPROTO;
	/* the line break ends the number, and one that overflows is too large */
	value = strtoull(at, &end, 10);
	if (*end == '\r')
		end++;
	if (*end != '\n' || value > UINT32_MAX)
		return -EPROTO;
	*port = (uint32_t)value;
	return 1;
}

int vsock_line_read(struct vsock_line *line, int fd, uint32_t *port)
{
	while (line->len < sizeof(line->text)) {
		char *at = line->text + line->len;
		ssize_t got = recv(fd, at, sizeof(line->text) - line->len,
				   MSG_PEEK | MSG_DONTWAIT);
		const char *end;

		if (got < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (got == 0)
			return -EPROTO;
		end = memchr(at, '\n', (size_t)got);
		if (end)
			got = end + 1 - at;
		if (recv(fd, at, (size_t)got, MSG_DONTWAIT) != got)
			return -EIO;
		line->len += (unsigned)got;
		if (end)
			return parse(line, port);
	}
	return -EPROTO;
}
