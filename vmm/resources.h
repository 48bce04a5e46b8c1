/* Host resources that outlive a guest reboot: open files, taps, console.
 *
 * All of them are opened here, before the first VM exists, so that a restart
 * of the guest opens nothing again and a later sandbox need not allow it.
 * Main thread.
 */
#pragma once

#include "base/error.h"
#include "boot/load.h"
#include "devices/disk_file.h"
#include "vmm/config.h"
#include "vmm/console.h"
#include "vmm/timeline.h"

struct resources {
	int kvm_fd;
	struct boot_file kernel;
	struct boot_file initrd; /* fd -1: none */
	struct disk disks[CONFIG_DISKS_MAX];
	int taps[CONFIG_NETS_MAX];
	struct console *console;
	const char *pidfile; /* the configuration's; NULL: none written */
	int pidfile_fd;	     /* locked */
};

/* -1 with err set, and nothing left open or behind. */
int resources_open(struct resources *resources, const struct vm_config *config,
		   struct timeline *timeline, struct error *err);
void resources_close(struct resources *resources);
