/* The sizes and alignments of requests that suit a disk image or block device
 * best. Set-up code, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

static inline bool is_power_of_two(uint32_t value)
{
	return value && !(value & (value - 1));
}

/* All in bytes. */
struct disk_topology {
	uint32_t physical; /* the block that the host writes as a whole: a
			    * power of two, at least block_size */
	uint32_t offset;   /* of the first such block; less than physical */
	uint32_t io_min;   /* smallest request without a penalty */
	uint32_t io_opt;   /* best size for long transfers; 0: any */
};

/* block_size: bytes that all requests to the disk are multiples of. What the
 * host does not tell gets a value that suits any disk. */
void disk_topology_read(int fd, uint32_t block_size,
			struct disk_topology *topology);
