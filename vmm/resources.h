/* Host resources that outlive a guest reboot: open files, taps, sockets, passt,
 * console.
 *
 * All of them are opened here, before the first VM exists, so that a restart
 * of the guest opens nothing again and a later sandbox need not allow it; but
 * for a disk's next file, see disk_reload.h. Main thread.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/error.h"
#include "boot/load.h"
#include "devices/disk_file.h"
#include "devices/net_tap.h"
#include "devices/vsock_socket.h"
#include "vmm/config.h"
#include "vmm/console.h"
#include "vmm/passt.h"
#include "vmm/timeline.h"

/* Comes when somebody is about to write to the kernel's file, if it is
 * steady; who does waits for resources_release_kernel(), /proc/sys/fs/
 * lease-break-time seconds at most (fcntl(2), F_SETLEASE). Blocked before
 * resources_open(). */
#define RESOURCES_LEASE_SIGNAL SIGIO

struct resources {
	int kvm_fd;
	struct boot_file kernel;
	struct boot_file initrd;	     /* fd -1: none */
	struct disk disks[CONFIG_DISKS_MAX]; /* disk_reload changes them */
	struct {
		struct net_tap taps[NET_PAIRS_MAX];
		unsigned tap_count;
		struct passt *passt; /* NULL: on the taps */
	} nets[CONFIG_NETS_MAX];
	struct vsock_socket vsock; /* fd -1: none */
	struct console *console;   /* the serial port's */
	struct console *hvc;	   /* the virtio console's; NULL: none */
	const char *pidfile;	   /* the configuration's; NULL: none written */
	int pidfile_fd;		   /* locked */
};

/* -1 with err set, and nothing left open or behind. */
int resources_open(struct resources *resources, const struct vm_config *config,
		   struct timeline *timeline, struct error *err);

/* Whether fd, if it is 0 or more, is the file or device that st is of. */
bool resources_is_open_as(const struct stat *st, int fd);
void resources_release_kernel(struct resources *resources);

/* Refuses to write over what this VM has open: nobody means to. */
int resources_refuse_own_file(const struct resources *resources,
			      const struct vm_config *config, const char *path,
			      struct error *err);
void resources_close(struct resources *resources);

/* What a network card's queue pairs send to and receive from: fills backends
 * and returns their number. */
unsigned resources_net(struct resources *resources, unsigned index,
		       struct net_backend *backends[static NET_PAIRS_MAX]);
