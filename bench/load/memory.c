/*
 * Memory's bandwidth and latency, by one thread:
 *
 *	memory stream MS [MAX_MB]
 *	memory chase MS KIB...
 *
 * stream: copy (c = a), scale (b = k c), add (c = a + b) and triad
 * (a = b + k c) over three arrays of four times the last-level cache each, or
 * of a third of MAX_MB where that is less (default 3072). Prints the lines
 * "array VALUE MB", "copy VALUE MB/s" and so on for scale, add, triad: MB is
 * 1000000 bytes read and written, and the figure the best of the passes in MS
 * milliseconds each, the first of which is not counted.
 *
 * chase: reads that each need the one before, in a random cycle through all
 * cache lines of so many KiB. Prints "chase.KIB VALUE ns" for each: the median
 * of batches (load.h).
 */
#include <string.h>

#include "bench/load/load.h"

#define LINE 64
#define UNKNOWN_CACHE (32 << 20)
#define LEAST_PASSES 3

/* One cache line, so that every step has the same size, whatever the compiler
 * does with loops. */
typedef double pair __attribute__((vector_size(16)));
#define PAIRS (LINE / sizeof(pair))
struct line {
	pair p[PAIRS];
};

/* -- Bandwidth ------------------------------------------------------------ */

static struct line *a, *b, *c;
static const pair k = { 0.5, 0.5 };

/* The largest cache that sysfs knows of. */
static size_t cache_size(void)
{
	size_t largest = 0;

	for (int i = 0; i < 10; i++) {
		char path[80];
		char text[20];
		FILE *file;

		snprintf(path, sizeof(path),
			 "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
		file = fopen(path, "re");
		if (!file)
			break;
		if (fgets(text, sizeof(text), file)) {
			size_t size = strtoul(text, NULL, 10) << 10; /* "32K" */

			if (size > largest)
				largest = size;
		}
		fclose(file);
	}
	return largest ? largest : UNKNOWN_CACHE;
}

/* A pass over the arrays. The barrier keeps the compiler from making a memcpy
 * of the copy, which would go past the cache where the others go through it. */
#define DEFINE_PASS(name, to, value)                       \
	static void name(size_t n)                         \
	{                                                  \
		for (size_t i = 0; i < n; i++) {           \
			for (size_t j = 0; j < PAIRS; j++) \
				(to)[i].p[j] = (value);    \
			KEEP_IN_MEMORY();                  \
		}                                          \
	}
DEFINE_PASS(copy, c, a[i].p[j])
DEFINE_PASS(scale, b, c[i].p[j] * k)
DEFINE_PASS(add, c, a[i].p[j] + b[i].p[j])
DEFINE_PASS(triad, a, b[i].p[j] + k * c[i].p[j])

static const struct {
	const char *name;
	void (*pass)(size_t n);
	unsigned arrays;
} passes[] = {
	{ "copy", copy, 2 },
	{ "scale", scale, 2 },
	{ "add", add, 3 },
	{ "triad", triad, 3 },
};

static uint64_t best_pass(void (*pass)(size_t n), size_t lines, uint64_t ms)
{
	uint64_t best = UINT64_MAX, end;

	pass(lines);
	end = now() + ms * 1000000;
	for (int i = 0; i < LEAST_PASSES || now() < end; i++) {
		uint64_t begin = now(), time;

		pass(lines);
		time = now() - begin;
		if (time < best)
			best = time;
	}
	return best ? best : 1;
}

static void stream(uint64_t ms, uint64_t max)
{
	size_t size = 4 * cache_size(), lines;

	if (size > max * 1000000 / 3)
		size = max * 1000000 / 3;
	lines = size / LINE;
	size = lines * LINE;
	a = allocate(size, MAP_PRIVATE);
	b = allocate(size, MAP_PRIVATE);
	c = allocate(size, MAP_PRIVATE);
	/* Memory that was never written would all be one page of zeros. */
	for (size_t i = 0; i < lines; i++) {
		for (size_t j = 0; j < PAIRS; j++)
			a[i].p[j] = b[i].p[j] = c[i].p[j] = k;
		KEEP_IN_MEMORY();
	}
	report("array", (double)size / 1e6, "MB");
	for (size_t i = 0; i < ARRAY_SIZE(passes); i++)
		report(passes[i].name,
		       (double)size * passes[i].arrays * 1000 /
			       (double)best_pass(passes[i].pass, lines, ms),
		       "MB/s");
}

/* -- Latency -------------------------------------------------------------- */

struct link {
	struct link *next;
	char rest[LINE - sizeof(void *)];
};

static struct link *position;

static uint64_t chase(uint64_t count)
{
	uint64_t begin = now();
	struct link *link = position;

	for (uint64_t i = 0; i < count; i++) {
		link = link->next;
		KEEP_IN_MEMORY();
	}
	position = link;
	return now() - begin;
}

/* The same in every run. */
static uint64_t random_below(uint64_t limit)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % limit;
}

/* Sattolo's shuffle, whose result is one cycle through all. */
static void make_cycle(struct link *links, size_t n)
{
	for (size_t i = 0; i < n; i++)
		links[i].next = &links[i];
	for (size_t i = n - 1; i > 0; i--) {
		size_t other = random_below(i);
		struct link *next = links[i].next;

		links[i].next = links[other].next;
		links[other].next = next;
	}
}

static void measure_latency(uint64_t ms, uint64_t kib)
{
	size_t size = kib << 10;
	struct link *links = allocate(size, MAP_PRIVATE);
	char name[40];

	make_cycle(links, size / LINE);
	position = links;
	chase(size / LINE);
	snprintf(name, sizeof(name), "chase.%" PRIu64, kib);
	report(name, median_of_batches(chase, ms), "ns");
	munmap(links, size);
}

int main(int argc, char **argv)
{
	uint64_t ms;

	if (argc < 3)
		goto usage;
	ms = number("MS", argv[2], MAX_MS);
	if (!strcmp(argv[1], "stream") && argc <= 4)
		stream(ms,
		       argc == 4 ? number("MAX_MB", argv[3], 1 << 20) : 3072);
	else if (!strcmp(argv[1], "chase") && argc > 3)
		for (int i = 3; i < argc; i++)
			measure_latency(ms, number("KIB", argv[i], 1 << 24));
	else
		goto usage;
	return 0;
usage:
	errx(2, "usage: memory stream MS [MAX_MB] | memory chase MS KIB...");
}
