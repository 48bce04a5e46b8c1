/* What several kinds make of their configuration. */
#pragma once

#include "base/rate_limiter.h"
#include "devices/vhost_user/vhost_user.h"
#include "vmm/config/config.h"

static inline struct rate_limits
rate_limits_of(const struct config_limit *limit)
{
	return (struct rate_limits){
		.bytes = { limit->bw, limit->bw_burst },
		.ops = { limit->ops, limit->ops_burst },
	};
}

/* The connection is called name, and looks for its server again when it loses
 * it. NULL with err set. */
static inline struct vhost_user *
connect_server(const struct vhost_user_kind *kind, const char *name,
	       const char *path, struct error *err)
{
	const struct vhost_user_options options = {
		.kind = kind,
		.name = name,
		.path = path,
	};

	return vhost_user_create(&options, err);
}
