/* A VM's memory: one mapping for all RAM, and the mappings that devices bring.
 * RAM is private, or shared with the processes that serve devices.
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
	void *mapping; /* holds ram, mapping_size bytes; NULL: none */
	size_t mapping_size;
	int fd;		      /* of shared RAM; -1: private */
	struct guest_mem ram; /* kernels are loaded here */
	struct guest_mem all; /* ram, and the memory that devices bring */
	struct load_mapping
		kernel_pages; /* of ram: pages of the kernel's file */
	struct {
		void *host;
		size_t size;
	} extra[GUEST_REGIONS_MAX]; /* mappings that devices brought */
	unsigned extra_count;
};

/* Maps RAM as the layout says; kvm_set_memory() shows it to the guest. Takes
 * *kept_fd, which is a file of huge pages that the boot before has left, or -1.
 * -1 with err set; memory_destroy() frees what a failure leaves. */
int memory_create(struct memory *memory, const struct config_memory *config,
		  const struct vm_layout *layout, bool shared, int *kept_fd,
		  struct error *err);

/* Maps [0, size) of a file to gpa, at an address of the host that suits huge
 * pages. If private, the guest's writes do not reach the file. 0, or -1 with
 * err set; memory_destroy() frees what a failure leaves. */
int memory_map_file(struct memory *memory, uint64_t gpa, uint64_t size, int fd,
		    bool is_private, struct error *err);

/* Unmaps everything. A file of huge pages goes to *kept_fd, for the next
 * boot. */
void memory_destroy(struct memory *memory, const struct config_memory *config,
		    int *kept_fd);

/* Gives the pages of [host, host + len) of guest memory back to the host. The
 * guest finds zeros there until it writes again. Pages of the host that are
 * only partly in the range keep what they hold. So do pages of the kernel's
 * file, which would show the file again. There are no reserved huge pages: the
 * configuration's rules forbid them beside a balloon.
 *
 * The range is one that guest_range() gave, or several that are neighbours in
 * the host. Event loop or vCPU thread. 0 or -errno. */
int memory_discard(const struct memory *memory, uint8_t *host, uint64_t len);
