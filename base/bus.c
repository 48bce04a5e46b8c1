#include "base/bus.h"

#include <string.h>

#include "base/le_types.h"

int bus_add(struct bus *bus, const struct bus_range *range, struct error *err)
{
	unsigned at = bus->count;
	uint64_t last;

	if (!range->size ||
	    __builtin_add_overflow(range->base, range->size - 1, &last))
		return error_usage(err, "%s: bad bus range", range->name);
	if (bus->count == BUS_RANGES_MAX)
		return error_usage(err, "%s: bus is full", range->name);
	for (unsigned i = 0; i < bus->count; i++) {
		const struct bus_range *other = &bus->ranges[i];

		if (range->base <= other->base + (other->size - 1) &&
		    other->base <= last)
			return error_usage(err, "%s: overlaps %s on the bus",
					   range->name, other->name);
	}
	while (at > 0 && bus->ranges[at - 1].base > range->base) {
		bus->ranges[at] = bus->ranges[at - 1];
		at--;
	}
	bus->ranges[at] = *range;
	bus->count++;
	return 0;
}

static struct bus_range *bus_find(struct bus *bus, uint64_t addr, unsigned size)
{
	unsigned low = 0, high = bus->count;

	if (size != 1 && size != 2 && size != 4 && size != 8)
		return NULL;
	while (low < high) {
		unsigned mid = (low + high) / 2;
		struct bus_range *range = &bus->ranges[mid];
		uint64_t offset = addr - range->base;

		if (addr < range->base)
			high = mid;
		else if (offset >= range->size)
			low = mid + 1;
		else
			return size <= range->size - offset ? range : NULL;
	}
	return NULL;
}

void bus_read(struct bus *bus, uint64_t addr, void *data, unsigned size)
{
	struct bus_range *range = bus_find(bus, addr, size);
	le64_t value;

	if (!range) {
		memset(data, 0xff, size);
		return;
	}
	if (range->lock)
		pthread_mutex_lock(range->lock);
	value = le64(range->ops->read(range->dev, addr - range->base, size));
	if (range->lock)
		pthread_mutex_unlock(range->lock);
	memcpy(data, &value, size);
}

void bus_write(struct bus *bus, uint64_t addr, const void *data, unsigned size)
{
	struct bus_range *range = bus_find(bus, addr, size);
	le64_t value = le64(0);

	if (!range)
		return;
	memcpy(&value, data, size);
	if (range->lock)
		pthread_mutex_lock(range->lock);
	range->ops->write(range->dev, addr - range->base, size,
			  le64_get(value));
	if (range->lock)
		pthread_mutex_unlock(range->lock);
}
