/* Host resources that outlive a guest reboot: open files, taps, console.
 *
 * All of them are opened here, before the first VM exists, so that a restart
 * of the guest opens nothing again and a later sandbox need not allow it.
 * Main thread.
 */
#pragma once

#include <signal.h>

#include "base/error.h"
#include "boot/load.h"
#include "devices/disk_file.h"
#include "devices/vhost_user.h"
#include "vmm/config.h"
#include "vmm/console.h"
#include "vmm/timeline.h"
#include "vmm/virtiofsd.h"

/* Comes when somebody is about to write to the kernel's file, if it is
 * steady; who does waits for resources_release_kernel(), /proc/sys/fs/
 * lease-break-time seconds at most (fcntl(2), F_SETLEASE). Blocked before
 * resources_open(). */
#define RESOURCES_LEASE_SIGNAL SIGIO

/* A folder that virtiofsd shares. */
struct share_server {
	struct virtiofsd daemon;
	struct vhost_user *conn; /* NULL: none */
};

struct resources {
	int kvm_fd;
	struct boot_file kernel;
	struct boot_file initrd;	     /* fd -1: none */
	struct disk disks[CONFIG_DISKS_MAX]; /* fd -1: a server has it */
	struct vhost_user *disk_servers[CONFIG_DISKS_MAX]; /* NULL: none */
	int taps[CONFIG_NETS_MAX];			   /* -1: a server's */
	struct vhost_user *net_servers[CONFIG_NETS_MAX];   /* NULL: none */
	struct share_server shares[CONFIG_SHARES_MAX];
	int memory_fd; /* huge pages of the boot before; -1: none */
	struct console *console;
	const char *pidfile; /* the configuration's; NULL: none written */
	int pidfile_fd;	     /* locked */
};

/* -1 with err set, and nothing left open or behind. */
int resources_open(struct resources *resources, const struct vm_config *config,
		   struct timeline *timeline, struct error *err);
/* Has share index served, anew if what served it is gone. 0, or -1 with err
 * set. */
int resources_serve_share(struct resources *resources,
			  const struct vm_config *config, unsigned index,
			  struct error *err);

/* Ends the connections to servers of devices, which no VM uses any more. */
void resources_leave_servers(struct resources *resources);
void resources_release_kernel(struct resources *resources);
void resources_close(struct resources *resources);
