/* Guest physical memory as a list of regions, and the only ways into it.
 *
 * Every access names its length and is refused unless it lies wholly inside
 * one region. The memory belongs to whoever mapped it; a struct guest_mem
 * only describes it and is constant while vCPUs run, so any thread may read.
 * What lies in the memory may change under any reader: copy a value out once
 * with guest_read(), check the copy, use the copy.
 *
 * Memory is shared where other processes serve devices: it is a mapping of a
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
	uint64_t offset; /* of the region in that file, in bytes */
};

struct guest_mem {
	unsigned count;
	struct guest_region regions[GUEST_REGIONS_MAX];
};

/* Adds a region; -1 when the table is full, the region is empty, wraps around
 * or overlaps another. Before any vCPU runs. */
int guest_mem_add(struct guest_mem *mem, uint64_t gpa, uint64_t size,
		  void *host);

/* The region added last is shared memory: it maps the file fd from this offset
 * on. The caller keeps fd and closes it. */
void guest_mem_share(struct guest_mem *mem, int fd, uint64_t offset);

/* Total bytes of all regions. */
uint64_t guest_mem_size(const struct guest_mem *mem);

/* Host address of [gpa, gpa + len), or NULL unless one region holds all of
 * it. A len of 0 needs gpa to lie inside a region. */
void *guest_range(const struct guest_mem *mem, uint64_t gpa, uint64_t len);

/* Copy out of and into guest memory; -1, with nothing copied, where
 * guest_range() says NULL. */
int guest_read(const struct guest_mem *mem, uint64_t gpa, void *buf,
	       size_t len);
int guest_write(const struct guest_mem *mem, uint64_t gpa, const void *buf,
		size_t len);
