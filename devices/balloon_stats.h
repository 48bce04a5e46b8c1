/* The statistics that a guest gives of its memory through the balloon (virtio
 * 1.2, 5.5.6.3): pairs of tag and value, any of them, in any order.
 *
 * They are the guest's word: no decision depends on them. Plain data, under the
 * device's mutex.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/iov.h"

/* Tags (5.5.6.4; those from OOM kills on came with Linux 6.12). Values are
 * bytes where no comment says that they are numbers. */
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

/* Replaces what was known by what the buffer holds. Skips unknown tags, and
 * stops after four times as many entries as there are tags. */
void balloon_stats_read(struct balloon_stats *stats, struct iov_cursor buffer);

/* Prints the values that matter to a user as one line, cut to size bytes. */
void balloon_stats_print(const struct balloon_stats *stats, char *text,
			 size_t size);
