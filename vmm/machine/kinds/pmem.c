#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "devices/block/disk_file.h"
#include "devices/block/virtio_pmem.h"
#include "vmm/machine/disk_open_once.h"
#include "vmm/machine/kinds/kinds.h"

/* What Linux maps of persistent memory comes in pieces of this size
 * (memremap_compat_align()). */
#define PIECE (2ULL << 20)

/* KVM takes less than 8 TiB at once. */
#define SIZE_MAX_TIB 4

static unsigned count(const struct vm_config *config)
{
	return config->pmem_count;
}

static void describe(const struct vm_config *config, unsigned index, FILE *out)
{
	fprintf(out, "pmem: %s", config->pmems[index].path);
}

static int measure(const struct vm_config *config, unsigned index,
		   uint64_t *size, struct error *err)
{
	const char *path = config->pmems[index].path;
	struct stat st;

	if (stat(path, &st))
		return error_set(err, ERROR_IO, errno, "pmem %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_IO, 0,
				 "pmem %s: not a regular file", path);
	*size = (uint64_t)st.st_size;
	if (!*size || *size % PIECE)
		return error_set(err, ERROR_IO, 0,
				 "pmem %s: %llu bytes are not a multiple of "
				 "2 MiB (truncate -s %%2M FILE makes them one)",
				 path, (unsigned long long)*size);
	if (*size > SIZE_MAX_TIB * (1ULL << 40))
		return error_set(err, ERROR_IO, 0,
				 "pmem %s: %llu GiB are more than %d TiB", path,
				 (unsigned long long)*size >> 30, SIZE_MAX_TIB);
	return 0;
}

static int open_file(struct machine_device *device,
		     const struct kind_host *host, struct error *err)
{
	const struct config_pmem *pmem =
		&host->config->pmems[device->slot->index];
	const struct disk_options options = {
		.path = pmem->path,
		.readonly = pmem->readonly,
	};
	struct disk *file = calloc(1, sizeof(*file));

	if (!file)
		return error_set(err, ERROR_IO, ENOMEM, "pmem");
	file->fd = -1;
	device->host = file;
	if (disk_open_once(host->files, &options, "persistent memory", file,
			   err) < 0)
		return error_wrap(err, "pmem");
	return 0;
}

static void close_file(struct machine_device *device)
{
	struct disk *file = device->host;

	if (file)
		disk_close(file->fd);
	free(file);
}

/* What is read only is the guest's to write to all the same, in pages of its
 * own: the device has no way to forbid it (virtio 1.2, 5.19.4). */
static int map(struct machine_device *device, struct memory *memory,
	       struct error *err)
{
	const struct layout_range *range = &device->slot->memory;
	const struct disk *file = device->host;

	if (file->size != range->size)
		return error_set(err, ERROR_IO, 0, "its size has changed");
	return memory_map_file(memory, range->base, range->size, file->fd,
			       file->readonly, err);
}

static int create(struct machine_device *device,
		  const struct kind_machine *machine, struct error *err)
{
	const struct disk *file = device->host;
	const struct virtio_pmem_options options = {
		.start = device->slot->memory.base,
		.size = device->slot->memory.size,
		.fd = file->readonly ? -1 : file->fd,
	};

	device->dev = virtio_pmem_create(&options, &machine->memory->all,
					 machine->iothreads->main_loop, err);
	return device->dev ? 0 : -1;
}

static void destroy(struct machine_device *device)
{
	virtio_device_destroy(device->dev);
}

const struct machine_kind pmem_kind = {
	.count = count,
	.describe = describe,
	.measure = measure,
	.open = open_file,
	.close = close_file,
	.map = map,
	.create = create,
	.destroy = destroy,
};
