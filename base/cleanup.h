/* Cleanup of local variables at the end of their scope, for set-up code.
 *
 * `autoclose int fd = open(...)` closes fd on every way out of the scope, and
 * `autofree char *s = ...` frees s. take_fd() and take_ptr() return the value
 * and make the variable empty, so that it is not closed or freed. Members of
 * structs are cleaned up by a destroy function instead. Any thread.
 */
#pragma once

#include <stdlib.h>
#include <unistd.h>

/* The descriptor is -1 then. */
static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

#define autoclose __attribute__((cleanup(cleanup_close)))
#define autofree __attribute__((cleanup(cleanup_free)))

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define take_ptr(p)                         \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
