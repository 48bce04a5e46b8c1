/* What the reload of disks asks of the kind. Event loop. */
#pragma once

#include "devices/block/disk_file.h"
#include "vmm/machine/kind.h"

/* An open disk; it outlives the device on it. */
struct disk_host {
	struct disk disk;
	unsigned file; /* its number in the VM's own files */
};

/* NULL where a server has the disk. */
static inline struct disk_host *
disk_host_of(const struct machine_device *device)
{
	return device->host;
}
