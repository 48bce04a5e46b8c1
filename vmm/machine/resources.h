/* Host resources that outlive a guest reboot: open files, taps, sockets, passt,
 * virtiofsd, connections to servers of devices, console.
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
#include "devices/block/disk_file.h"
#include "devices/net/net_tap.h"
#include "devices/net/vhost_kernel.h"
#include "devices/vhost_user/vhost_user.h"
#include "devices/vsock/vsock_socket.h"
#include "vmm/config/config.h"
#include "vmm/host/console.h"
#include "vmm/host/passt.h"
#include "vmm/host/timeline.h"
#include "vmm/host/virtiofsd.h"

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
	struct boot_file initrd; /* fd -1: none */
	/* fd -1: a server has it; disk_reload changes the others */
	struct disk disks[CONFIG_DISKS_MAX];
	struct disk pmems[CONFIG_PMEMS_MAX];
	struct vhost_user *disk_servers[CONFIG_DISKS_MAX]; /* NULL: none */
	struct {
		struct net_tap taps[NET_PAIRS_MAX];
		unsigned tap_count;
		struct vhost_kernel kernel; /* with vhost */
		struct passt *passt;	    /* NULL: on something else */
		struct vhost_user *server;  /* or passt's, once asked */
	} nets[CONFIG_NETS_MAX];
	struct share_server shares[CONFIG_SHARES_MAX];
	struct vsock_socket vsock; /* fd -1: none */
	int memory_fd;		   /* huge pages of the boot before; -1: none */
	struct console *console;   /* the serial port's */
	struct console *hvc;	   /* the virtio console's; NULL: none */
	const char *pidfile;	   /* the configuration's; NULL: none written */
	int pidfile_fd;		   /* locked */
};

/* -1 with err set, and nothing left open or behind. */
int resources_open(struct resources *resources, const struct vm_config *config,
		   struct timeline *timeline, struct error *err);

/* Has share index served, anew if what served it is gone. 0, or -1 with err
 * set. */
int resources_serve_share(struct resources *resources,
			  const struct vm_config *config, unsigned index,
			  struct error *err);

/* Whether other processes serve devices, and so have to see guest memory. */
bool resources_share_memory(const struct resources *resources);

/* Ends the connections to servers of devices, which no VM uses any more. */
void resources_leave_servers(struct resources *resources);

/* Whether fd, if it is 0 or more, is the file or device that st is of. */
bool resources_is_open_as(const struct stat *st, int fd);
void resources_release_kernel(struct resources *resources);

/* Refuses to write over what this VM has open: nobody means to. */
int resources_refuse_own_file(const struct resources *resources,
			      const struct vm_config *config, const char *path,
			      struct error *err);
void resources_close(struct resources *resources);

/* Only removes the files that others see. May be called by a signal handler. */
void resources_remove_files(const struct resources *resources);

/* Whether another process serves the queues of a network card; the connection
 * to it, or NULL with err set. */
bool resources_net_is_served(const struct resources *resources, unsigned index);
struct vhost_user *resources_net_server(struct resources *resources,
					unsigned index, struct error *err);

/* What a network card's queue pairs send to and receive from: fills backends
 * and returns their number. */
unsigned resources_net(struct resources *resources, unsigned index,
		       struct net_backend *backends[static NET_PAIRS_MAX]);
