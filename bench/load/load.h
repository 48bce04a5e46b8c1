/*
 * What the load programs share: the clock, the median of batches, numbers on
 * the command line, and memory.
 *
 * A result is one line, "NAME VALUE UNIT". A measurement runs batches of one
 * operation. First, the size of a batch doubles until one takes a sixteenth of
 * the time asked for, which also warms up. Then batches run until the time is
 * over, but at least five. The figure is the median of the batches, for one
 * operation.
 */
#pragma once

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define MAX_MS 3600000
#define BATCHES 256
#define FEWEST_BATCHES 5
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define KEEP_IN_MEMORY() __asm__ volatile("" ::: "memory")

/* Nanoseconds since some moment. */
static inline uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static inline uint64_t number(const char *what, const char *text, uint64_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || !value ||
	    value > max)
		errx(2, "%s %s: not a number from 1 to %" PRIu64, what, text,
		     max);
	return value;
}

static inline void report(const char *name, double value, const char *unit)
{
	printf("%s %.2f %s\n", name, value, unit);
	fflush(stdout);
}

/* Fresh memory, zeroed; sharing is MAP_PRIVATE or, with children, MAP_SHARED. */
static inline void *allocate(size_t size, int sharing)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    sharing | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		err(1, "%zu bytes", size);
	return memory;
}

static inline int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts the samples. */
static inline double median(double *samples, size_t n)
{
	qsort(samples, n, sizeof(*samples), by_size);
	return (samples[(n - 1) / 2] + samples[n / 2]) / 2;
}

/* Does something count times, and returns how many ns that took. */
typedef uint64_t batch_fn(uint64_t count);

/* The ns of one. */
static inline double median_of_batches(batch_fn *batch, uint64_t ms)
{
	uint64_t all = ms * 1000000, count = 1, end;
	double samples[BATCHES];
	size_t n = 0;

	while (batch(count) < all / 16)
		count *= 2;
	end = now() + all;
	while (n < BATCHES && (n < FEWEST_BATCHES || now() < end))
		samples[n++] = (double)batch(count) / (double)count;
	return median(samples, n);
}
