#include "vmm/arm64/caches.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text of a file below the cache's folder, without its line break. */
static bool read_text(unsigned index, const char *name, char *text, int size)
{
	char path[96];
	FILE *file;
	bool ok;

	snprintf(path, sizeof(path),
		 "/sys/devices/system/cpu/cpu0/cache/index%u/%s", index, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	ok = fgets(text, size, file) != NULL;
	fclose(file);
	text[strcspn(text, "\n")] = '\0';
	return ok;
}

/* A number, which may have the K of a size behind it; 0 for none. */
static uint32_t read_number(unsigned index, const char *name)
{
	char text[32], *end;
	unsigned long value;

	if (!read_text(index, name, text, sizeof(text)))
		return 0;
	value = strtoul(text, &end, 10);
	return (uint32_t)(*end == 'K' ? value << 10 : value);
}

static bool read_kind(unsigned index, struct fdt_cache *cache)
{
	static const char *const names[] = {
		[FDT_CACHE_DATA] = "Data",
		[FDT_CACHE_INSTRUCTION] = "Instruction",
		[FDT_CACHE_UNIFIED] = "Unified",
	};
	char text[32];

	if (!read_text(index, "type", text, sizeof(text)))
		return false;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			cache->kind = i;
			return true;
		}
	}
	return false;
}

unsigned caches_read(struct fdt_cache caches[CACHES_MAX])
{
	unsigned count = 0;

	for (unsigned i = 0; i < CACHES_MAX; i++) {
		struct fdt_cache *cache = &caches[count];

		if (!read_kind(i, cache))
			break;
		cache->level = read_number(i, "level");
		cache->size = read_number(i, "size");
		cache->line_size = read_number(i, "coherency_line_size");
		cache->sets = read_number(i, "number_of_sets");
		if (cache->level && cache->size && cache->line_size &&
		    cache->sets)
			count++;
	}
	return count;
}
