/* What several kinds make of their configuration. */
#pragma once

#include "base/rate_limiter.h"
#include "devices/vhost_user/vhost_user.h"
#include "vmm/config/config.h"
#include "vmm/host/unix_socket.h"

static inline struct rate_limits
rate_limits_of(const struct config_limit *limit)
{
	return (struct rate_limits){
		.bytes = { limit->bw, limit->bw_burst },
		.ops = { limit->ops, limit->ops_burst },
	};
}

/* Connects to the server at path. When the connection is lost, it is made again
 * by path, which outlives it. NULL with err set ("NAME: PATH: ..."). */
static inline struct vhost_user *
connect_server(const struct vhost_user_kind *kind, const char *name, char *path,
	       struct error *err)
{
	const struct vhost_user_options options = {
		.kind = kind,
		.name = name,
		.fd = unix_socket_connect(path, err),
		.connect = unix_socket_connect,
		.ctx = path,
	};
	struct vhost_user *server =
		options.fd < 0 ? NULL : vhost_user_create(&options, err);

	if (!server)
		error_wrap(err, "%s: %s", name, path);
	return server;
}
