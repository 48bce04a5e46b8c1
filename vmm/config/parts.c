/* Rules about what several kinds of device have. */
#include "vmm/config/section.h"

#include <string.h>
#include <sys/un.h>

#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define THREAD_NAME_MAX 15 /* bytes that the kernel keeps and ps shows */

bool config_is_limited(const struct config_limit *limit)
{
	return limit->bw || limit->ops || limit->bw_burst || limit->ops_burst;
}

int config_check_limit(const struct config_limit *limit, const char *way,
		       const char *unit, struct error *err)
{
	unsigned long long bw = limit->bw;

	/* The user has most likely forgotten the unit. */
	if (bw && bw < CONFIG_BW_MIN)
		return error_usage(err,
				   "%sbw: %llu bytes per second is less than "
				   "%u KiB (did you mean %lluM?)",
				   way, bw, CONFIG_BW_MIN >> 10, bw);
	if (limit->bw_burst && !bw)
		return error_usage(err, "%sbw-burst needs %sbw", way, way);
	if (limit->ops_burst && !limit->ops)
		return error_usage(err, "%s%s-burst needs %s%s", way, unit, way,
				   unit);
	return 0;
}

int config_check_iothread(const char *name, struct error *err)
{
	if (!name || strlen(name) <= THREAD_NAME_MAX)
		return 0;
	return error_usage(err, "iothread: '%s' is longer than %d bytes", name,
			   THREAD_NAME_MAX);
}

int config_check_server(const char *path, struct error *err)
{
	if (strlen(path) <= SOCKET_PATH_MAX)
		return 0;
	return error_usage(
		err, "vhost-user: the socket's path is longer than %zu bytes",
		SOCKET_PATH_MAX);
}
