/* A VM's memory: one mapping for all RAM, private, or shared with the processes
 * that serve devices; and the mappings that devices bring.
 *
 * Set-up thread, but for memory_discard().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/guest_mem.h"
#include "boot/load.h"
#include "vmm/config/config.h"
#include "vmm/machine/layout.h"

struct memory {
	void *mapping; /* behind ram, mapping_size bytes; NULL: none */
	size_t mapping_size;
	int fd;		      /* of shared memory; -1: private */
	struct guest_mem ram; /* what kernels are loaded to */
	struct guest_mem all; /* that, and what devices bring: for devices */
	struct load_mapping kernel_pages; /* of ram: still those of the file */
	struct {
		void *host;
		size_t size;
	} extra[GUEST_REGIONS_MAX]; /* mappings that devices brought */
	unsigned extra_count;
};

/* Maps RAM as the layout says; the guest sees it once memory_show() was called.
 * *kept_fd is a descriptor of huge pages that the boot before has left, or -1;
 * it is taken. memory_destroy() frees what a failure leaves. */
int memory_create(struct memory *memory, const struct config_memory *config,
		  const struct vm_layout *layout, bool shared, int *kept_fd,
		  struct error *err);

/* Puts [0, size) of a file at gpa, at an address of the host that suits huge
 * pages. Private: what the guest writes is its own. 0 or -1 with err set. */
int memory_map_file(struct memory *memory, uint64_t gpa, uint64_t size, int fd,
		    bool is_private, struct error *err);

/* Shows all of it to the guest. */
int memory_show(const struct memory *memory, int vm_fd, struct error *err);

/* Unmaps all of it. Huge pages of a file stay with *kept_fd for the next
 * boot. */
void memory_destroy(struct memory *memory, const struct config_memory *config,
		    int *kept_fd);

/* Gives up what [host, host + len) of guest memory holds: the host has its
 * pages back, and the guest finds zeros there until it writes again. Pages of
 * the host that are only partly in the range keep what they hold, and so do
 * those of the kernel's file, which would show the file again. Never of
 * reserved huge pages, which the configuration's rules forbid.
 *
 * The range is one that guest_range() gave, or several that are neighbours in
 * the host. Event loop or vCPU thread. 0 or -errno. */
int memory_discard(const struct memory *memory, uint8_t *host, uint64_t len);
