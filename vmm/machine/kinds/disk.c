#include "vmm/machine/kinds/disk.h"

#include <errno.h>
#include <stdlib.h>

#include "devices/block/vhost_user_blk.h"
#include "devices/block/virtio_blk.h"
#include "vmm/machine/kinds/kinds.h"

static unsigned count(const struct vm_config *config)
{
	return config->disk_count;
}

static void describe(const struct vm_config *config, unsigned index, FILE *out)
{
	const struct config_disk *disk = &config->disks[index];

	if (disk->vhost_user)
		fprintf(out, "vhost-user %s", disk->vhost_user);
	else
		fputs(disk->path, out);
}

/* --- on the host --- */

int disk_host_open(struct machine_device *device,
		   const struct disk_options *options, const char *use,
		   struct own_files *files, struct error *err)
{
	struct own_file file = {
		.use = use,
		.is_disk = true,
		.readonly = options->readonly,
	};
	struct disk_host *host = calloc(1, sizeof(*host));
	struct stat st;

	if (!host)
		return error_set(err, ERROR_IO, ENOMEM, "disk %s",
				 options->path);
	host->disk.fd = -1;
	device->host = host;
	if (own_files_refuse_disk(files, options->path, options->readonly,
				  err) ||
	    disk_open(options, &host->disk, err))
		return -1;
	if (fstat(host->disk.fd, &st))
		return error_set(err, ERROR_IO, errno, "disk %s",
				 options->path);
	file.id = file_id_of(&st);
	host->file = own_files_add(files, &file);
	return 0;
}

void disk_host_close(struct machine_device *device)
{
	struct disk_host *host = device->host;

	if (host)
		disk_close(host->disk.fd);
	free(host);
}

static int open_disk(struct machine_device *device,
		     const struct kind_host *host, struct error *err)
{
	const struct config_disk *disk =
		&host->config->disks[device->slot->index];
	const struct disk_options options = {
		.path = disk->path,
		.readonly = disk->readonly,
		.direct = disk->direct,
	};

	if (disk->vhost_user)
		return kind_connect_server(device, &vhost_user_blk_kind,
					   disk->id, disk->vhost_user, err);
	if (disk_host_open(device, &options, disk->id, host->files, err))
		return error_wrap(err, "%s", disk->id);
	return 0;
}

/* --- the device --- */

/* One per vCPU, unless the user gave a number. */
static unsigned queues_of(const struct vm_config *config,
			  const struct config_disk *disk)
{
	uint64_t queues = disk->queues ? disk->queues : config->cpus;

	return queues < VIRTIO_BLK_QUEUES_MAX ? (unsigned)queues
					      : VIRTIO_BLK_QUEUES_MAX;
}

static int create_served(struct machine_device *device,
			 const struct kind_machine *machine, struct error *err)
{
	device->dev = vhost_user_blk_create(device->server,
					    &machine->memory->all,
					    machine->iothreads->main_loop, err);
	return device->dev ? 0 : -1;
}

static int create(struct machine_device *device,
		  const struct kind_machine *machine, struct error *err)
{
	const struct config_disk *disk =
		&machine->config->disks[device->slot->index];
	struct virtio_blk_options options = {
		.queues = queues_of(machine->config, disk),
		.limits = kind_rate_limits(&disk->limit),
		.unsafe = disk->cache == CACHE_UNSAFE,
		.serial = disk->serial ? disk->serial : disk->id,
		.engine_create = disk->engine == ENGINE_THREAD
					 ? block_thread_create
					 : block_engine_create,
	};
	struct event_loop *loop;

	if (device->server)
		return create_served(device, machine, err);
	options.disk = &disk_host_of(device)->disk;
	loop = iothreads_loop(machine->iothreads, disk->iothread, err);
	if (loop)
		device->dev = virtio_blk_create(&options, &machine->memory->all,
						loop, err);
	if (!device->dev)
		return error_wrap(err, "%s", disk->id);
	if (disk->iothread) /* whose purpose is to take work off the vCPUs */
		virtio_device_kick_in_loop(device->dev);
	return 0;
}

const struct machine_kind disk_kind = {
	.name = "block",
	.count = count,
	.describe = describe,
	.open = open_disk,
	.close = disk_host_close,
	.create = create,
};
