/* eventfds that wake somebody: counters whose number means nothing.
 *
 * Non-blocking, closed on exec. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A descriptor, the caller's; or -1 with errno set. */
static inline int wake_open(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static inline void wake(int fd)
{
	uint64_t one = 1;

	/* full, it wakes just as well */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

/* Whether somebody has called wake() since the last wake_take(). */
static inline bool wake_take(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}
