/* What a guest tells of its memory through the balloon's statistics queue
 * (virtio 1.2, 5.5.6.3): tags and values, any of them, in any order.
 *
 * It is the guest's word, and nothing is decided by it. Plain data, under the
 * device's mutex.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/iov.h"

/* Tags (5.5.6.4; those from OOM kills on came with Linux 6.12). Numbers where
 * it says so, else bytes. */
enum balloon_stat {
	BALLOON_SWAP_IN,
	BALLOON_SWAP_OUT,
	BALLOON_MAJOR_FAULTS, /* number */
	BALLOON_MINOR_FAULTS, /* number */
	BALLOON_FREE,
	BALLOON_TOTAL,
	BALLOON_AVAILABLE, /* free, or easily made so */
	BALLOON_CACHES,
	BALLOON_HUGE_ALLOCATIONS, /* number */
	BALLOON_HUGE_FAILURES,	  /* number */
	BALLOON_OOM_KILLS,	  /* number */
	BALLOON_ALLOC_STALLS,	  /* number */
	BALLOON_ASYNC_SCAN,
	BALLOON_DIRECT_SCAN,
	BALLOON_ASYNC_RECLAIM,
	BALLOON_DIRECT_RECLAIM,
	BALLOON_STATS,
};

struct balloon_stats {
	uint64_t value[BALLOON_STATS];
	uint32_t known; /* a bit per value: the guest gave it */
	uint32_t pad;
};

/* Takes what the buffer holds in place of what was known. Foreign tags are
 * passed over, and so is what follows after more entries than any driver
 * has. */
void balloon_stats_read(struct balloon_stats *stats, struct iov_cursor buffer);

/* The values that tell how a guest fares, as text of one line. */
void balloon_stats_print(const struct balloon_stats *stats, char *text,
			 size_t size);
