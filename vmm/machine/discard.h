/* Memory that the guest has no use for goes back to the host. */
#pragma once

#include <stdint.h>

struct vm;

/* Gives up what [host, host + len) of guest memory holds: the host has its
 * pages back, and the guest finds zeros there until it writes again. Pages of
 * the host that are only partly in the range keep what they hold, and so do
 * those of the kernel's file, which would show the file again. Never of
 * reserved huge pages (config_check()).
 *
 * The range is one that guest_range() gave, or several that are neighbours in
 * the host. Event loop or vCPU thread. 0 or -errno. */
int vm_discard(struct vm *vm, uint8_t *host, uint64_t len);
