#include "devices/balloon_stats.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/le_types.h"

struct entry {
	le16_t tag;
	le64_t value;
};
static_assert(sizeof(struct entry) == 10, "virtio 1.2, 5.5.6.3");

#define ENTRIES_MAX (4 * BALLOON_STATS)

void balloon_stats_read(struct balloon_stats *stats, struct iov_cursor buffer)
{
	struct entry entry;

	*stats = (struct balloon_stats){ 0 };
	for (unsigned i = 0; i < ENTRIES_MAX; i++) {
		uint16_t tag;

		if (iov_read(&buffer, &entry, sizeof(entry)) < sizeof(entry))
			break;
		tag = le16_get(entry.tag);
		if (tag >= BALLOON_STATS)
			continue;
		stats->value[tag] = le64_get(entry.value);
		stats->known |= 1u << tag;
	}
}

static const struct {
	const char *name;
	enum balloon_stat stat;
	bool bytes;
} shown[] = {
	{ "total", BALLOON_TOTAL, true },
	{ "free", BALLOON_FREE, true },
	{ "available", BALLOON_AVAILABLE, true },
	{ "caches", BALLOON_CACHES, true },
	{ "swapped in", BALLOON_SWAP_IN, true },
	{ "swapped out", BALLOON_SWAP_OUT, true },
	{ "major faults", BALLOON_MAJOR_FAULTS, false },
	{ "OOM kills", BALLOON_OOM_KILLS, false },
};

void balloon_stats_print(const struct balloon_stats *stats, char *text,
			 size_t size)
{
	const char *comma = "";
	size_t used = 0;

	*text = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(shown) && used < size; i++) {
		uint64_t value = stats->value[shown[i].stat];

		if (!(stats->known >> shown[i].stat & 1))
			continue;
		used += (size_t)snprintf(text + used, size - used,
					 "%s%s %" PRIu64 "%s", comma,
					 shown[i].name,
					 shown[i].bytes ? value >> 20 : value,
					 shown[i].bytes ? " MiB" : "");
		comma = ", ";
	}
}
