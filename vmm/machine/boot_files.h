/* The files that a guest boots from. They are opened once and outlive a guest
 * reboot. Main thread.
 */
#pragma once

#include "base/error.h"
#include "boot/load.h"
#include "vmm/config/config.h"
#include "vmm/host/own_files.h"

/* Comes when somebody is about to write to the leased kernel file. The writer
 * waits for boot_files_release(), /proc/sys/fs/lease-break-time seconds at most
 * (fcntl(2), F_SETLEASE). Blocked before boot_files_lease(). */
#define BOOT_FILES_LEASE_SIGNAL SIGIO

struct boot_files {
	struct boot_file kernel;
	struct boot_file initrd; /* fd -1: none */
	int dump_fd;		 /* for the machine's description; -1: none */
};

/* -1 with err set; boot_files_close() takes what a failure leaves. */
int boot_files_open(struct boot_files *files, const struct vm_config *config,
		    struct own_files *own, struct error *err);
void boot_files_close(struct boot_files *files);

/* Takes a lease on the kernel's file, so that it may be mapped instead of
 * copied. A lease is had by the file's owner or root while nobody writes to the
 * file; without one, the kernel is copied. */
void boot_files_lease(struct boot_files *files);
void boot_files_release(struct boot_files *files);
