/* The pidfile: the process id in a file that stays locked while the VM exists.
 *
 * The lock goes with the process, however it ends: a file without one is stale
 * and taken over. Main thread.
 */
#pragma once

#include "base/error.h"
#include "vmm/host/own_files.h"

/* Writes the file, and adds it to the VM's own. Returns a descriptor, which the
 * caller closes; -1 with err set when another VM has the file, or it is no
 * pidfile. path outlives files. */
int pidfile_write(const char *path, struct own_files *files, struct error *err);
