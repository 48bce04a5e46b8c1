#include <errno.h>
#include <sys/stat.h>

#include "devices/block/virtio_pmem.h"
#include "vmm/machine/kinds/disk.h"
#include "vmm/machine/kinds/kinds.h"

/* Linux maps persistent memory in pieces of this size, in bytes
 * (memremap_compat_align()). */
#define PIECE (2ULL << 20)

/* KVM takes less than 8 TiB in one slot. */
#define SIZE_MAX_TIB 4

static unsigned count(const struct vm_config *config)
{
	return config->pmem_count;
}

static void describe(const struct vm_config *config, unsigned index, FILE *out)
{
	fputs(config->pmems[index].path, out);
}

static int measure(const struct vm_config *config, unsigned index,
		   uint64_t *size, struct error *err)
{
	const char *path = config->pmems[index].path;
	struct stat st;

	if (stat(path, &st))
		return error_set(err, ERROR_IO, errno, "pmem %s", path);
	if (!S_ISREG(st.st_mode))
		return error_io(err, "pmem %s: not a regular file", path);
	*size = (uint64_t)st.st_size;
	if (!*size || *size % PIECE)
		return error_io(err,
				"pmem %s: %llu bytes are not a multiple of 2 "
				"MiB (truncate -s %%2M FILE extends the file)",
				path, (unsigned long long)*size);
	if (*size > SIZE_MAX_TIB * (1ULL << 40))
		return error_io(err, "pmem %s: %llu GiB are more than %d TiB",
				path, (unsigned long long)*size >> 30,
				SIZE_MAX_TIB);
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

	if (disk_host_open(device, &options, "persistent memory", host->files,
			   err))
		return error_wrap(err, "pmem");
	return 0;
}

/* A readonly file is mapped privately: the device has no way to forbid writes
 * (virtio 1.2, 5.19.4), so the guest writes to pages of its own. */
static int map(struct machine_device *device, struct memory *memory,
	       struct error *err)
{
	const struct layout_range *range = &device->slot->memory;
	const struct disk *file = &disk_host_of(device)->disk;
	int ret;

	if (file->size != range->size)
		ret = error_io(err, "its size has changed");
	else
		ret = memory_map_file(memory, range->base, range->size,
				      file->fd, file->readonly, err);
	return ret ? error_wrap(err, "pmem%u", device->slot->index) : 0;
}

static int create(struct machine_device *device,
		  const struct kind_machine *machine, struct error *err)
{
	const struct disk *file = &disk_host_of(device)->disk;
	const struct virtio_pmem_options options = {
		.start = device->slot->memory.base,
		.size = device->slot->memory.size,
		.fd = file->readonly ? -1 : file->fd,
	};

	device->dev = virtio_pmem_create(&options, &machine->memory->all,
					 machine->iothreads->main_loop, err);
	return device->dev ? 0 : -1;
}

const struct machine_kind pmem_kind = {
	.name = "pmem",
	.count = count,
	.describe = describe,
	.measure = measure,
	.open = open_file,
	.close = disk_host_close,
	.map = map,
	.create = create,
};
