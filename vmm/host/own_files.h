/* The files that this VM has open on the host. Whoever opens another one asks
 * this list first, so that no console writes into a disk and no two disks share
 * an image.
 *
 * The list also has the files that onggi creates for others and removes when
 * the VM ends: pidfile and sockets. Plain data; the main thread changes it, and
 * any thread may work on a copy.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file_id.h"

/* Kernel, initrd, pidfile, two consoles, a socket, a device tree, and all disks
 * and files of persistent memory. */
#define OWN_FILES_MAX 24

struct own_file {
	struct file_id id;
	const char *use; /* as messages call it: "the kernel", "disk0" */
	bool is_disk;
	bool readonly;	     /* a disk that others may open readonly, too */
	const char *removed; /* path to unlink when the VM ends; NULL: none */
};

struct own_files {
	unsigned count;
	struct own_file list[OWN_FILES_MAX];
};

/* Adds a copy of file, whose strings outlive the list. Returns the index of the
 * copy. */
unsigned own_files_add(struct own_files *files, const struct own_file *file);

/* Refuses path as a file to write to when this VM has that file open. -1 with
 * err set ("PATH is the kernel of this VM"). A path that leads nowhere is fine.
 */
int own_files_refuse(const struct own_files *files, const char *path,
		     struct error *err);

/* Refuses path as a disk when this VM has that file open, unless both uses are
 * readonly. disk_open() meets the lock of the first use, but cannot tell whose
 * it is. */
int own_files_refuse_disk(const struct own_files *files, const char *path,
			  bool readonly, struct error *err);

/* Unlinks the files to remove, unless somebody has put another file in their
 * place. A signal handler may call it. */
void own_files_remove(const struct own_files *files);
