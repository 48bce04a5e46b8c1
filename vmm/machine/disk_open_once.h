/* Opens a disk that this VM does not have open already. Main thread. */
#pragma once

#include "base/error.h"
#include "devices/block/disk_file.h"
#include "vmm/host/own_files.h"

/* As disk_open(), and adds the file to the VM's own under that name. Returns
 * its number there; -1 with err set. */
int disk_open_once(struct own_files *files, const struct disk_options *options,
		   const char *use, struct disk *disk, struct error *err);
