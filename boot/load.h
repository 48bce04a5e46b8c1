/* Brings bytes of a host file into guest memory.
 *
 * A struct boot_file describes an open regular file and owns nothing: the
 * caller opens and closes fd, which may be closed as soon as the last call
 * returns. All functions run on the set-up thread, before any vCPU.
 *
 * Files that change while a VM runs: where pages are mapped (see
 * load_range()) the guest sees what another process writes into the file and
 * dies of SIGBUS when the file is cut. Images are replaced by renaming, never
 * rewritten in place.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/guest_mem.h"

struct boot_file {
	int fd;
	uint64_t size;	  /* bytes, as fstat() says */
	const char *name; /* for messages: "kernel vmlinux" */
};

/* Ranges shorter than this many bytes are read even where they could be
 * mapped. Mapping pays from some 16 KiB if the guest only reads the pages,
 * and later if it writes them, each then being copied one by one. */
#define LOAD_MAP_MIN (32 * 1024)

/* Reads exactly len bytes at offset. A range past the end of the file is
 * ERROR_IMAGE; a read that fails, or a file shorter than its size says, is
 * ERROR_IO. 0 or -1. */
int boot_file_read(const struct boot_file *file, uint64_t offset, void *buf,
		   size_t len, struct error *err);

/* Brings len bytes at offset of the file to guest physical address gpa.
 *
 * Where the guest region has `overlay` and its host address is congruent with
 * offset modulo the page size, the file's whole pages are mapped privately
 * over guest memory: nothing is copied or touched, and VMs share the page
 * cache until they write. The rest is read. No byte outside [gpa, gpa + len)
 * changes. Errors as boot_file_read(), and ERROR_IMAGE for a range outside
 * guest memory. 0 or -1. */
int load_range(const struct guest_mem *mem, uint64_t gpa,
	       const struct boot_file *file, uint64_t offset, uint64_t len,
	       struct error *err);
