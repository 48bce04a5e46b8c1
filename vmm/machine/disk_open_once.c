#include "vmm/machine/disk_open_once.h"

#include <errno.h>

int disk_open_once(struct own_files *files, const struct disk_options *options,
		   const char *use, struct disk *disk, struct error *err)
{
	struct own_file file = {
		.use = use,
		.is_disk = true,
		.readonly = options->readonly,
	};
	struct stat st;

	if (own_files_refuse_disk(files, options->path, options->readonly,
				  err) ||
	    disk_open(options, disk, err))
		return -1;
	if (fstat(disk->fd, &st))
		return error_set(err, ERROR_IO, errno, "disk %s",
				 options->path);
	file.id = file_id_of(&st);
	return (int)own_files_add(files, &file);
}
