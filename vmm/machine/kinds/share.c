#include <errno.h>
#include <stdlib.h>

#include "devices/vhost_user_fs.h"
#include "vmm/host/virtiofsd.h"
#include "vmm/machine/kinds/kinds.h"

static unsigned count(const struct vm_config *config)
{
	return config->share_count;
}

static void describe(const struct vm_config *config, unsigned index, FILE *out)
{
	fprintf(out, "%s as %s", config->shares[index].path,
		config->shares[index].tag);
}

static void stop(struct machine_device *device)
{
	/* virtiofsd ends when its connection is closed */
	vhost_user_destroy(device->server);
	device->server = NULL;
	virtiofsd_stop(device->host);
}

/* Has virtiofsd serve the folder: a new one if there is none, or if the one
 * before is gone. */
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
	snprintf(name, sizeof(name), "share %s", share->tag);
	options.fd = virtiofsd_start(device->host, share->path, share->tag,
				     share->readonly, err);
	if (options.fd < 0)
		return error_wrap(err, "%s", name);
	device->server = vhost_user_create(&options, err);
	if (device->server)
		return 0;
	virtiofsd_explain(device->host, err);
	return error_wrap(err, "%s", name);
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
	ret = process_watch(&daemon->process, loop);
	return ret ? error_set(err, ERROR_IO, -ret, "virtiofsd") : 0;
}

static void unwatch(struct machine_device *device)
{
	struct virtiofsd *daemon = device->host;

	process_unwatch(&daemon->process);
}

const struct machine_kind share_kind = {
	.name = "file system",
	.count = count,
	.describe = describe,
	.open = open_share,
	.close = close_share,
	.create = create,
	.unwatch = unwatch,
};
