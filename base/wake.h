/* eventfds that wake whoever polls them. The number in them means nothing.
 *
 * They are non-blocking and closed on exec. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Returns a descriptor that the caller closes, or -1 with errno set. */
static inline int wake_open(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static inline void wake(int fd)
{
	uint64_t one = 1;

	/* A full eventfd is readable, too, and wakes as well. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

/* Whether somebody has called wake() since the last wake_take(). */
static inline bool wake_take(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}
