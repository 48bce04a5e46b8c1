/* What the host says of its first CPU's caches: a guest cannot ask the
 * processor on its own, and schedules worse without knowing. */
#pragma once

#include "boot/arm64/fdt.h"

#define CACHES_MAX 6

/* Fills caches from /sys and returns how many there are; 0 where the host
 * does not tell. */
unsigned caches_read(struct fdt_cache caches[CACHES_MAX]);
