/* The files that this VM has open on the host, so that none of them is opened a
 * second time: neither a console's output into a disk, nor two disks on one
 * image.
 *
 * Also lists the files that others see and that go when the VM ends: pidfile
 * and sockets. Plain data; the main thread changes it, and any thread may work
 * on a copy.
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
	bool readonly;	     /* a disk: may be open twice if both are */
	const char *removed; /* path that is unlinked at the end; NULL: none */
};

struct own_files {
	unsigned count;
	struct own_file list[OWN_FILES_MAX];
};

/* The strings outlive the list. Returns the file's number in it. */
unsigned own_files_add(struct own_files *files, const struct own_file *file);

/* Refuses to write to what this VM has open: nobody means to. -1 with err set
 * ("PATH is the kernel of this VM"). A path that leads nowhere is fine. */
int own_files_refuse(const struct own_files *files, const char *path,
		     struct error *err);

/* Refuses the file at path as a disk, for which disk_open()'s lock is not
 * enough: it cannot tell whose lock it meets. */
int own_files_refuse_disk(const struct own_files *files, const char *path,
			  bool readonly, struct error *err);

/* Unlinks the files that others see, unless somebody has put another file in
 * their place. A signal handler may call it. */
void own_files_remove(const struct own_files *files);
