/* Guest physical memory as a list of regions, and the only functions that reach
 * it.
 *
 * Every access names its length, and is refused unless it lies wholly inside
 * one region. The memory belongs to whoever mapped it. A struct guest_mem only
 * describes it and does not change while vCPUs run, so that any thread may use
 * it. The content of the memory may change at any time: copy a value once with
 * guest_read(), check the copy, use the copy.
 *
 * Memory is shared if other processes serve devices. It is then a mapping of a
 * file whose descriptor these processes get. All other memory is private.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define GUEST_REGIONS_MAX 6 /* two of RAM, four of persistent memory */

struct guest_region {
	uint64_t gpa;  /* guest physical address */
	uint64_t size; /* bytes */
	uint8_t *host;
	int fd;		 /* the file of shared memory; -1: private memory */
	uint64_t offset; /* of the region in the file, in bytes */
};

struct guest_mem {
	unsigned count;
	struct guest_region regions[GUEST_REGIONS_MAX];
};

/* Adds a region of private memory, before any vCPU runs. 0, or -1 if there are
 * GUEST_REGIONS_MAX already, or if the region is empty, wraps around or
 * overlaps another. */
int guest_mem_add(struct guest_mem *mem, uint64_t gpa, uint64_t size,
		  void *host);

/* Makes the region that was added last shared memory, a mapping of the file fd
 * from this offset on. The caller keeps fd and closes it. */
void guest_mem_share(struct guest_mem *mem, int fd, uint64_t offset);

/* Total bytes of all regions. */
uint64_t guest_mem_size(const struct guest_mem *mem);

/* The region that holds the byte at gpa, or NULL. */
const struct guest_region *guest_mem_find(const struct guest_mem *mem,
					  uint64_t gpa);

/* The host address of [gpa, gpa + len), or NULL if no region holds all of it.
 * If len is 0, gpa must lie inside a region. */
void *guest_range(const struct guest_mem *mem, uint64_t gpa, uint64_t len);

/* Copy out of and into guest memory. 0, or -1 with nothing copied if
 * guest_range() returns NULL. */
int guest_read(const struct guest_mem *mem, uint64_t gpa, void *buf,
	       size_t len);
int guest_write(const struct guest_mem *mem, uint64_t gpa, const void *buf,
		size_t len);
