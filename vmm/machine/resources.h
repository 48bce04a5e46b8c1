/* Host resources that outlive a guest reboot: everything that the process opens
 * or starts before the first VM exists, in one order. ARCHITECTURE.md lists
 * what is opened later. Main thread.
 */
#pragma once

#include "vmm/machine/boot_files.h"
#include "vmm/machine/devices.h"

struct resources {
	const struct vm_config *config;
	const struct vm_layout *layout;
	struct timeline *timeline;
	struct own_files files;
	struct boot_files boot;
	struct machine_devices devices;
	struct console *console; /* the serial port's */
	int kvm_fd;
	int pidfile_fd; /* locked; -1: none */
	int huge_fd;	/* huge pages of the boot before; -1: none */
};

/* Opens everything. -1 with err set, and nothing left open or behind. config,
 * layout and timeline outlive the resources. */
int resources_open(struct resources *resources, const struct vm_config *config,
		   const struct vm_layout *layout, struct timeline *timeline,
		   struct error *err);
void resources_close(struct resources *resources);
