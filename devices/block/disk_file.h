/* Opens a disk image or block device and locks it.
 *
 * The lock is an open file description lock (fcntl F_OFD_SETLK): a writer
 * excludes everyone, readers exclude writers, and it goes away with the last
 * copy of the descriptor. Set-up code, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "devices/block/disk_topology.h"

struct disk_options {
	const char *path;
	bool readonly;
	bool direct; /* O_DIRECT: around the host's page cache */
};

struct disk {
	int fd; /* the caller's to close */
	bool readonly;
	bool direct;
	bool in_memory; /* the file system is: there is no disk to wait for,
			 * and no RWF_NOWAIT */
	uint64_t size;	/* bytes, a multiple of block_size */
	uint32_t block_size; /* what offsets and lengths must be multiples of:
			      * 512, or more where O_DIRECT asks for it */
	uint32_t mem_align;  /* of buffers; 1 without O_DIRECT */
	struct disk_topology topology;
};

/* The bytes of an open disk; -1 with err set ("disk PATH: ..."). A size that
 * is not a multiple of the block size is rounded down, with a warning. */
int disk_measure(int fd, const char *path, uint32_t block_size, uint64_t *size,
		 struct error *err);

/* Fills *out; -1 with err set ("disk PATH: ...") and nothing left open. */
int disk_open(const struct disk_options *config, struct disk *out,
	      struct error *err);
