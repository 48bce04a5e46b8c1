#include "vmm/machine/arm64/caches.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* Reads the text of a file below the caches' folder, without its line break. */
static bool read_text(int folder, unsigned index, const char *name, char *text,
		      size_t size)
{
	char path[48];
	autoclose int fd = -1;
	ssize_t len;

	snprintf(path, sizeof(path), "index%u/%s", index, name);
	fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, text, size - 1);
	if (len < 0)
		return false;
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return true;
}

/* Reads a number above 0, which may have the K of a size behind it. */
static bool read_number(int folder, unsigned index, const char *name,
			uint32_t *value)
{
	char text[32], *end;
	unsigned long number;

	if (!read_text(folder, index, name, text, sizeof(text)))
		return false;
	number = strtoul(text, &end, 10);
	*value = (uint32_t)(*end == 'K' ? number << 10 : number);
	return *value > 0;
}

static bool read_kind(int folder, unsigned index, struct fdt_cache *cache)
{
	static const char *const names[] = {
		[FDT_CACHE_DATA] = "Data",
		[FDT_CACHE_INSTRUCTION] = "Instruction",
		[FDT_CACHE_UNIFIED] = "Unified",
	};
	char text[32];

	if (!read_text(folder, index, "type", text, sizeof(text)))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			cache->kind = i;
			return true;
		}
	}
	return false;
}

/* False past the last one, or where the host does not say how large it is. */
static bool read_cache(int folder, unsigned index, struct fdt_cache *cache)
{
	return read_number(folder, index, "size", &cache->size) &&
	       read_kind(folder, index, cache) &&
	       read_number(folder, index, "level", &cache->level) &&
	       read_number(folder, index, "coherency_line_size",
			   &cache->line_size) &&
	       read_number(folder, index, "number_of_sets", &cache->sets);
}

unsigned caches_read(struct fdt_cache caches[CACHES_MAX])
{
	autoclose int folder = open("/sys/devices/system/cpu/cpu0/cache",
				    O_PATH | O_DIRECTORY | O_CLOEXEC);
	unsigned count = 0;

	while (count < CACHES_MAX && read_cache(folder, count, &caches[count]))
		count++;
	return count;
}
