/* Address decoding: a bus maps ranges of guest addresses to devices.
 *
 * Port I/O and MMIO are two buses of this type. Ranges are added before vCPUs
 * run, and then every vCPU thread looks them up. The bus holds the mutex of the
 * range during each access, so bus_ops need not lock. Whoever else calls a
 * device takes the same mutex: the event loop, or functions whose comment says
 * so, such as power_press_button().
 */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "base/error.h"

/* Accesses to a device. offset counts from the start of the range. size is 1,
 * 2, 4 or 8 bytes, and does not reach past the end of the range. Values are in
 * host byte order, zero-extended. */
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
	pthread_mutex_t *lock; /* NULL: the device needs none */
};

#define BUS_RANGES_MAX 48

struct bus {
	unsigned count;
	struct bus_range ranges[BUS_RANGES_MAX]; /* sorted by base */
};

/* Copies the range. 0, or -1 with ERROR_USAGE if it is empty, wraps around or
 * overlaps another, or if there are BUS_RANGES_MAX already. */
int bus_add(struct bus *bus, const struct bus_range *range, struct error *err);

/* One access of a vCPU: size bytes in guest (little-endian) order. If no range
 * holds all of them, or size is not 1, 2, 4 or 8, a read gives all-ones and a
 * write is dropped. */
void bus_read(struct bus *bus, uint64_t addr, void *data, unsigned size);
void bus_write(struct bus *bus, uint64_t addr, const void *data, unsigned size);
