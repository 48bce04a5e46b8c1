#include "tests/unit/unit.h"

#include <stdbool.h>
#include <string.h>

#include "base/bus.h"

struct device {
	uint64_t value;
	uint64_t offset;
	unsigned size;
	unsigned calls;
	pthread_mutex_t lock;
	bool locked;
};

static uint64_t dev_read(void *opaque, uint64_t offset, unsigned size)
{
	struct device *dev = opaque;

	dev->offset = offset;
	dev->size = size;
	dev->calls++;
	dev->locked = pthread_mutex_trylock(&dev->lock) != 0;
	return dev->value;
}

static void dev_write(void *opaque, uint64_t offset, unsigned size,
		      uint64_t value)
{
	struct device *dev = opaque;

	dev_read(dev, offset, size);
	dev->value = value;
}

static const struct bus_ops ops = { .read = dev_read, .write = dev_write };

static struct bus_range range(struct device *dev, uint64_t base, uint64_t size)
{
	return (struct bus_range){ .name = "dev",
				   .base = base,
				   .size = size,
				   .ops = &ops,
				   .dev = dev,
				   .lock = &dev->lock };
}

static void accesses_reach_the_right_device_in_little_endian(void **state)
{
	struct device a = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct device b = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct bus bus = { 0 };
	struct bus_range high = range(&b, 0x2000, 0x100);
	struct bus_range low = range(&a, 0x1000, 0x1000);
	uint8_t data[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct error err;

	(void)state;
	assert_int_equal(bus_add(&bus, &high, &err), 0);
	assert_int_equal(bus_add(&bus, &low, &err), 0);
	bus_write(&bus, 0x1ffc, data, 4);
	assert_int_equal(a.value, 0x04030201);
	assert_int_equal(a.offset, 0xffc);
	assert_true(a.locked);
	bus_write(&bus, 0x2000, data, 8);
	assert_int_equal(b.value, 0x0807060504030201);
	memset(data, 0, sizeof(data));
	bus_read(&bus, 0x2000, data, 2);
	assert_int_equal(data[0], 1);
	assert_int_equal(data[1], 2);
	assert_int_equal(data[2], 0);
}

static void misses_read_all_ones_and_drop_writes(void **state)
{
	struct device a = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct bus bus = { 0 };
	struct bus_range r = range(&a, 0x1000, 0x10);
	uint8_t data[8] = { 0 };
	struct error err;

	(void)state;
	assert_int_equal(bus_add(&bus, &r, &err), 0);
	bus_read(&bus, 0xfff, data, 1);
	assert_int_equal(data[0], 0xff);
	bus_read(&bus, 0x100d, data, 4); /* reaches past */
	assert_int_equal(data[3], 0xff);
	memset(data, 0, sizeof(data));
	bus_read(&bus, 0x1000, data, 3);
	assert_int_equal(data[2], 0xff);
	assert_int_equal(data[3], 0);
	bus_write(&bus, 0x1010, data, 1);
	bus_write(&bus, UINT64_MAX, data, 8);
	assert_int_equal(a.calls, 0);
}

static void bad_ranges_are_refused(void **state)
{
	struct device a = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct bus bus = { 0 };
	struct bus_range r = range(&a, 0x1000, 0x10);
	struct error err;

	(void)state;
	assert_int_equal(bus_add(&bus, &r, &err), 0);
	r = range(&a, 0x100f, 1);
	assert_int_equal(bus_add(&bus, &r, &err), -1);
	assert_string_equal(err.text, "dev: overlaps dev on the bus");
	r = range(&a, 0, 0x1001);
	assert_int_equal(bus_add(&bus, &r, &err), -1);
	r = range(&a, 0x5000, 0);
	assert_int_equal(bus_add(&bus, &r, &err), -1);
	r = range(&a, UINT64_MAX, 2);
	assert_int_equal(bus_add(&bus, &r, &err), -1);
	for (uint64_t i = 1; i < BUS_RANGES_MAX; i++) {
		r = range(&a, 0x10000 - 0x10 * i, 0x10);
		assert_int_equal(bus_add(&bus, &r, &err), 0);
	}
	r = range(&a, 0x90000, 1);
	assert_int_equal(bus_add(&bus, &r, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			accesses_reach_the_right_device_in_little_endian),
		cmocka_unit_test(misses_read_all_ones_and_drop_writes),
		cmocka_unit_test(bad_ranges_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
