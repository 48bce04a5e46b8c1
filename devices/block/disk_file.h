/* Opens a disk image or block device and locks it.
 *
 * The lock is an open file description lock (fcntl F_OFD_SETLK): a writer
 * excludes everyone, and readers exclude writers. disk_close() releases it; so
 * does the end of the last copy of the descriptor, which may be an io_uring's
 * and then ends a moment after its process. Set-up code, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct disk_options {
	const char *path;
	bool readonly;
	bool direct; /* O_DIRECT: around the host's page cache */
};

/* The sizes and alignments of requests that suit a disk best, in bytes. */
struct disk_topology {
	uint32_t physical; /* the block that the host writes as a whole: a
			    * power of two, at least block_size */
	uint32_t offset;   /* of the first such block; less than physical */
	uint32_t io_min;   /* smallest request without a penalty */
	uint32_t io_opt;   /* best size for long transfers; 0: any */
};

struct disk {
	int fd; /* the caller's, for disk_close() */
	bool readonly;
	bool direct;
	bool in_memory;	     /* on a file system in memory: no I/O waits for a
			      * device, and there is no RWF_NOWAIT */
	uint64_t size;	     /* bytes, a multiple of block_size */
	uint32_t block_size; /* bytes: offsets and lengths are multiples of it.
			      * 512, or more where O_DIRECT asks for it */
	uint32_t mem_align;  /* bytes: alignment of buffers. 1 without
			      * O_DIRECT */
	struct disk_topology topology;
};

/* Finds out the size of an open disk, in bytes. A size that is not a multiple of
 * the block size is rounded down, with a warning. -1 with err set ("disk PATH:
 * ..."). */
int disk_measure(int fd, const char *path, uint32_t block_size, uint64_t *size,
		 struct error *err);

/* Finds out what suits an open disk. All requests to it are multiples of
 * block_size bytes. What the host does not tell gets a value that suits any
 * disk. */
void disk_topology_read(int fd, uint32_t block_size,
			struct disk_topology *topology);

/* Opens the path and fills *out; -1 with err set ("disk PATH: ...") and nothing
 * left open. */
int disk_open(const struct disk_options *options, struct disk *out,
	      struct error *err);

/* The same for a descriptor that somebody opened as the options say; the path
 * is only its name in messages. On success out->fd is this descriptor; on
 * failure it stays the caller's, and open. */
int disk_take(int fd, const struct disk_options *options, struct disk *out,
	      struct error *err);

/* Releases the lock, even if there are copies of the descriptor, and closes. No
 * I/O on the disk is under way. fd -1 is fine. */
void disk_close(int fd);
