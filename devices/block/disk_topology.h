/* What sizes and alignments of requests a disk image or block device likes.
 * Set-up code, any thread.
 */
#pragma once

#include <stdint.h>

/* In bytes. */
struct disk_topology {
	uint32_t physical; /* the block that the host writes as a whole: a
			    * power of two, block_size or more */
	uint32_t offset;   /* where the first of them begins; below physical */
	uint32_t io_min;   /* smallest request without a penalty */
	uint32_t io_opt;   /* best for long transfers; 0: does not matter */
};

/* block_size: what the disk's requests are multiples of. Where the host does
 * not tell, what fits anything. */
void disk_topology_read(int fd, uint32_t block_size,
			struct disk_topology *topology);
