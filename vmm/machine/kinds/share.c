#include <errno.h>
#include <stdlib.h>

#include "devices/vhost_user_fs.h"
#include "devices/vhost_user/vhost_user_device.h"
#include "vmm/host/virtiofsd.h"
#include "vmm/machine/kinds/kinds.h"

static unsigned count(const struct vm_config *config)
{
	return config->share_count;
}

static void describe(const struct vm_config *config, unsigned index, FILE *out)
{
	fprintf(out, "file system: %s as %s", config->shares[index].path,
		config->shares[index].tag);
}

static void stop(struct machine_device *device)
{
	/* virtiofsd ends with its connection */
	vhost_user_destroy(device->server);
	device->server = NULL;
	virtiofsd_stop(device->host);
}

/* Has the folder served, anew if what served it is gone. */
static int serve(struct machine_device *device, const struct vm_config *config,
		 struct error *err)
{
	const struct config_share *share = &config->shares[device->slot->index];
	char name[VHOST_USER_FS_TAG_MAX + sizeof("share ")];
	struct vhost_user_options options = {
		.kind = &vhost_user_fs_kind,
		.name = name,
	};

	if (device->server && vhost_user_is_ready(device->server))
		return 0;
	stop(device);
	options.fd = virtiofsd_start(device->host, share->path, share->tag,
				     share->readonly, err);
	if (options.fd < 0)
		return -1;
	snprintf(name, sizeof(name), "share %s", share->tag);
	device->server = vhost_user_create(&options, err);
	if (device->server)
		return 0;
	error_wrap(err, "%s", name);
	virtiofsd_explain(device->host, err);
	return -1;
}

static int open_share(struct machine_device *device,
		      const struct kind_host *host, struct error *err)
{
	device->shares_memory = true;
	device->host = calloc(1, sizeof(struct virtiofsd));
	if (!device->host)
		return error_set(err, ERROR_IO, ENOMEM, "share");
	return serve(device, host->config, err);
}

static void close_share(struct machine_device *device)
{
	if (device->host)
		stop(device);
	free(device->host);
}

static int create(struct machine_device *device,
		  const struct kind_machine *machine, struct error *err)
{
	struct event_loop *loop = machine->iothreads->main_loop;
	struct virtiofsd *daemon = device->host;
	int ret;

	if (serve(device, machine->config, err))
		return -1;
	device->dev = vhost_user_fs_create(device->server, daemon->tag,
					   &machine->memory->all, loop, err);
	if (!device->dev)
		return -1;
	ret = virtiofsd_watch(daemon, loop);
	return ret ? error_set(err, ERROR_IO, -ret, "virtiofsd") : 0;
}

static void destroy(struct machine_device *device)
{
	virtiofsd_unwatch(device->host);
	virtio_device_destroy(device->dev);
}

const struct machine_kind share_kind = {
	.count = count,
	.describe = describe,
	.open = open_share,
	.close = close_share,
	.create = create,
	.destroy = destroy,
};
