#include "vmm/machine/kinds/disk.h"

#include <errno.h>
#include <stdlib.h>

#include "devices/block/vhost_user_blk.h"
#include "devices/block/virtio_blk.h"
#include "devices/vhost_user/vhost_user_device.h"
#include "vmm/machine/disk_open_once.h"
#include "vmm/machine/kinds/kinds.h"
#include "vmm/machine/kinds/options.h"

static unsigned count(const struct vm_config *config)
{
	return config->disk_count;
}

static void describe(const struct vm_config *config, unsigned index, FILE *out)
{
	const struct config_disk *disk = &config->disks[index];

	if (disk->vhost_user)
		fprintf(out, "block: vhost-user %s", disk->vhost_user);
	else
		fprintf(out, "block: %s", disk->path);
}

static int open_file(struct machine_device *device,
		     const struct config_disk *config, struct own_files *files,
		     struct error *err)
{
	const struct disk_options options = {
		.path = config->path,
		.readonly = config->readonly,
		.direct = config->direct,
	};
	struct disk_host *host = calloc(1, sizeof(*host));
	int file;

	if (!host)
		return error_set(err, ERROR_IO, ENOMEM, "disk");
	host->disk.fd = -1;
	device->host = host;
	file = disk_open_once(files, &options, config->id, &host->disk, err);
	if (file < 0)
		return -1;
	host->file = (unsigned)file;
	return 0;
}

static int open_disk(struct machine_device *device,
		     const struct kind_host *host, struct error *err)
{
	const struct config_disk *disk =
		&host->config->disks[device->slot->index];

	if (!disk->vhost_user)
		return open_file(device, disk, host->files, err)
			       ? error_wrap(err, "%s", disk->id)
			       : 0;
	device->shares_memory = true;
	device->server = connect_server(&vhost_user_blk_kind, disk->id,
					disk->vhost_user, err);
	return device->server ? 0 : -1;
}

static void close_disk(struct machine_device *device)
{
	struct disk_host *host = device->host;

	if (host)
		disk_close(host->disk.fd);
	free(host);
}

/* One per vCPU, unless said otherwise. */
static unsigned queues_of(const struct vm_config *config,
			  const struct config_disk *disk)
{
	uint64_t queues = disk->queues ? disk->queues : config->cpus;

	return queues < VIRTIO_BLK_QUEUES_MAX ? (unsigned)queues
					      : VIRTIO_BLK_QUEUES_MAX;
}

static struct virtio_device *create_here(struct machine_device *device,
					 const struct kind_machine *machine,
					 const struct config_disk *disk,
					 struct error *err)
{
	const struct virtio_blk_options options = {
		.disk = &disk_host_of(device)->disk,
		.queues = queues_of(machine->config, disk),
		.limits = rate_limits_of(&disk->limit),
		.unsafe = disk->cache == CACHE_UNSAFE,
		.serial = disk->serial ? disk->serial : disk->id,
	};
	struct event_loop *loop =
		iothreads_loop(machine->iothreads, disk->iothread, err);
	struct virtio_device *dev;

	if (!loop)
		return NULL;
	dev = virtio_blk_create(&options, &machine->memory->all, loop, err);
	if (dev && disk->iothread) /* which takes work off the vCPUs */
		virtio_device_kick_in_loop(dev);
	return dev;
}

static int create(struct machine_device *device,
		  const struct kind_machine *machine, struct error *err)
{
	const struct config_disk *disk =
		&machine->config->disks[device->slot->index];

	if (device->server) {
		device->dev = vhost_user_blk_create(
			device->server, &machine->memory->all,
			machine->iothreads->main_loop, err);
		return device->dev ? 0 : -1;
	}
	device->dev = create_here(device, machine, disk, err);
	return device->dev ? 0 : error_wrap(err, "%s", disk->id);
}

static void destroy(struct machine_device *device)
{
	virtio_device_destroy(device->dev);
}

const struct machine_kind disk_kind = {
	.count = count,
	.describe = describe,
	.open = open_disk,
	.close = close_disk,
	.create = create,
	.destroy = destroy,
};
