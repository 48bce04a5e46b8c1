/* The files that a guest boots from. They are opened once and outlive a guest
 * reboot. Main thread.
 */
#pragma once

#include "base/error.h"
#include "boot/load.h"
#include "vmm/config/config.h"
#include "vmm/host/own_files.h"

/* The kernel sends this signal when a process is about to write to the leased
 * file. The writer waits for boot_files_release(), but for
 * /proc/sys/fs/lease-break-time seconds at most (fcntl(2), F_SETLEASE). The
 * signal is blocked before boot_files_lease(). */
#define BOOT_FILES_LEASE_SIGNAL SIGIO

struct boot_files {
	struct boot_file kernel;
	struct boot_file initrd; /* fd -1: none */
	int dump_fd;		 /* for the machine's description; -1: none */
};

/* Opens kernel and initrd. -1 with err set; boot_files_close() takes what a
 * failure leaves. */
int boot_files_open(struct boot_files *files, const struct vm_config *config,
		    struct own_files *own, struct error *err);
void boot_files_close(struct boot_files *files);

/* Takes a lease on the kernel's file, so that it may be mapped instead of
 * copied. Only the file's owner or root gets a lease, and only while nobody has
 * the file open for writing. Without a lease the kernel is copied. */
void boot_files_lease(struct boot_files *files);
void boot_files_release(struct boot_files *files);
