#include "vmm/machine/kinds/kinds.h"

#include "vmm/host/unix_socket.h"

/* In the order in which the guest numbers its devices. */
const struct machine_kind *const machine_kinds[] = {
	&disk_kind,  &pmem_kind,    &net_kind,	   &share_kind, &rng_kind,
	&vsock_kind, &balloon_kind, &console_kind, NULL,
};

struct rate_limits kind_rate_limits(const struct config_limit *limit)
{
	return (struct rate_limits){
		.bytes = { limit->bw, limit->bw_burst },
		.ops = { limit->ops, limit->ops_burst },
	};
}

int kind_connect_server(struct machine_device *device,
			const struct vhost_user_kind *kind, const char *name,
			char *path, struct error *err)
{
	const struct vhost_user_options options = {
		.kind = kind,
		.name = name,
		.fd = unix_socket_connect(path, err),
		.connect = unix_socket_connect,
		.ctx = path,
	};

	device->shares_memory = true;
	if (options.fd >= 0)
		device->server = vhost_user_create(&options, err);
	return device->server ? 0 : error_wrap(err, "%s: %s", name, path);
}
