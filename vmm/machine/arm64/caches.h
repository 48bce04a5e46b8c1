/* The caches of the host's first CPU. A guest cannot ask the processor about
 * them, and schedules worse without knowing them. Set-up thread. */
#pragma once

#include "boot/arm64/fdt.h"

#define CACHES_MAX 6

/* Fills caches from /sys and returns how many there are; 0 if the host does not
 * say. */
unsigned caches_read(struct fdt_cache caches[CACHES_MAX]);
