/* The kinds of devices, one in each file of this folder, and what several of
 * them share. Set-up thread.
 */
#pragma once

#include "base/rate_limiter.h"
#include "vmm/machine/kind.h"

extern const struct machine_kind disk_kind;
extern const struct machine_kind pmem_kind;
extern const struct machine_kind net_kind;
extern const struct machine_kind share_kind;
extern const struct machine_kind rng_kind;
extern const struct machine_kind vsock_kind;
extern const struct machine_kind balloon_kind;
extern const struct machine_kind console_kind;

struct rate_limits kind_rate_limits(const struct config_limit *limit);

/* Connects the device to the vhost-user server at path, and again whenever the
 * connection is lost. path outlives the connection. -1 with err set ("NAME:
 * PATH: ..."). */
int kind_connect_server(struct machine_device *device,
			const struct vhost_user_kind *kind, const char *name,
			char *path, struct error *err);
