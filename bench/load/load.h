/*
 * What the load programs share: the clock, the median of batches, numbers on
 * the command line.
 *
 * A result is one line, "NAME VALUE UNIT". They measure by batches: their size
 * doubles until one takes a sixteenth of the time asked for, which warms up,
 * too; then batches run until the time is over, five at least. The figure is
 * the median of the batches, for one operation.
 */
#ifndef BENCH_LOAD_LOAD_H
#define BENCH_LOAD_LOAD_H

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_MS 3600000
#define BATCHES 256
#define FEWEST_BATCHES 5
#define KEEP_IN_MEMORY() __asm__ volatile("" ::: "memory")

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

static inline int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Does something so many times, and returns what that took in ns. */
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
	qsort(samples, n, sizeof(*samples), by_size);
	return n % 2 ? samples[n / 2]
		     : (samples[n / 2 - 1] + samples[n / 2]) / 2;
}

#endif
