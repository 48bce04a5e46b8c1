/* The pidfile: a file with the process id, locked while the VM exists.
 *
 * The kernel drops the lock when the process ends, for whatever reason. A
 * pidfile without a lock is therefore stale, and the next VM takes it over.
 * Main thread.
 */
#pragma once

#include "base/error.h"
#include "vmm/host/own_files.h"

/* Writes the file at path and adds it to files. Returns a descriptor, which
 * holds the lock until the caller closes it. -1 with err set when another VM
 * has the file locked, or when it is no pidfile. path outlives files. */
int pidfile_write(const char *path, struct own_files *files, struct error *err);
