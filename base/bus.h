/* Address decoding: a bus maps ranges of guest addresses to devices.
 *
 * Port I/O and MMIO are two buses of this one type. Ranges are added before
 * vCPUs run; lookups come from every vCPU thread. The bus takes the range's
 * mutex around each access, so a device's bus_ops take none. What else calls
 * into a device from another thread takes that mutex: the event loop, or a
 * function that says so, as power_press_button() does.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "base/error.h"

/* What a device answers to. offset is relative to the range; size is 1, 2, 4
 * or 8 bytes and never reaches past the range's end; values are in host byte
 * order, zero-extended. */
struct bus_ops {
	uint64_t (*read)(void *dev, uint64_t offset, unsigned size);
	void (*write)(void *dev, uint64_t offset, unsigned size,
		      uint64_t value);
};

struct bus_range {
	const char *name;
	uint64_t base;
	uint64_t size;
	const struct bus_ops *ops;
	void *dev;
	pthread_mutex_t *lock; /* NULL when the device needs none */
};

#define BUS_RANGES_MAX 48

struct bus {
	unsigned count;
	struct bus_range ranges[BUS_RANGES_MAX]; /* sorted by base */
};

/* Copies the range in. -1 with err set when it is empty, wraps around,
 * overlaps another or the table is full. */
int bus_add(struct bus *bus, const struct bus_range *range, struct error *err);

/* One access as it comes from the vCPU: size bytes in guest (little-endian)
 * order. A read that no range holds gives all-ones; such a write is dropped.
 * Sizes other than 1, 2, 4 and 8 are held by none. */
void bus_read(struct bus *bus, uint64_t addr, void *data, unsigned size);
void bus_write(struct bus *bus, uint64_t addr, const void *data, unsigned size);
