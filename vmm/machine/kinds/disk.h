/* Files and block devices of the host that are disks or persistent memory of
 * the guest.
 */
#pragma once

#include "devices/block/disk_file.h"
#include "vmm/machine/kind.h"

/* An open file. It outlives the device on it. */
struct disk_host {
	struct disk disk;
	unsigned file; /* its number in the VM's own files */
};

/* The file behind a disk or persistent memory; NULL where a server has the
 * disk. The reload of disks changes it, in the event loop. */
static inline struct disk_host *
disk_host_of(const struct machine_device *device)
{
	return device->host;
}

/* Opens and locks a file for the device, and adds it to the VM's own files;
 * messages about it call it `use`. -1 with err set ("disk PATH: ..."), also
 * when the VM has the file open already. disk_host_close() takes what a failure
 * leaves. Set-up thread. */
int disk_host_open(struct machine_device *device,
		   const struct disk_options *options, const char *use,
		   struct own_files *files, struct error *err);
void disk_host_close(struct machine_device *device);
