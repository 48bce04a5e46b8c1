#include "tests/unit/unit.h"

#include <string.h>

#include "devices/virtio_rng.h"
#include "tests/fake_driver.h"

struct fixture {
	struct fake_driver d;
	struct virtio_device *dev;
};

static int setup(void **state)
{
	static struct fixture f;
	struct error err;

	fake_init(&f.d);
	f.dev = virtio_rng_create(&f.d.mem, f.d.loop, &err);
	fake_attach(&f.d, f.dev);
	*state = &f;
	return !f.dev;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	virtio_device_destroy(f->dev);
	virtio_device_destroy(NULL);
	fake_fini(&f->d);
	return 0;
}

static void a_request_is_filled_with_bytes(void **state)
{
	static const uint8_t zeros[32];
	struct fixture *f = *state;
	struct fake_buffer b[] = { { fake_alloc(&f->d, 64, 64), 32 },
				   { fake_alloc(&f->d, 64, 64), 32 } };
	uint32_t head, len;

	fake_start(&f->d, 0, 8);
	fake_add(&f->d, 0, b, 0, 2);
	fake_kick(&f->d, 0);
	assert_true(fake_get_used(&f->d, 0, &head, &len));
	assert_int_equal(len, 64);
	assert_memory_not_equal(fake_ptr(&f->d, b[0].gpa), zeros, 32);
	assert_memory_not_equal(fake_ptr(&f->d, b[1].gpa), zeros, 32);
	assert_memory_equal(fake_ptr(&f->d, b[0].gpa + 32), zeros, 32);
	assert_int_equal(fake_interrupts(&f->d), 1);
}

static void a_greedy_request_gets_a_bounded_amount(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = { fake_alloc(&f->d, 0x10000, 64), 0x10000 };
	uint32_t head, len;

	fake_start(&f->d, 0, 8);
	fake_add(&f->d, 0, &b, 0, 1);
	fake_kick(&f->d, 0);
	assert_true(fake_get_used(&f->d, 0, &head, &len));
	assert_int_equal(len, 4096);
}

static void readable_buffers_are_left_alone(void **state)
{
	static const uint8_t zeros[32];
	struct fixture *f = *state;
	struct fake_buffer b = { fake_alloc(&f->d, 32, 64), 32 };
	uint32_t head, len;

	fake_start(&f->d, 0, 8);
	fake_add(&f->d, 0, &b, 1, 0);
	fake_kick(&f->d, 0);
	assert_true(fake_get_used(&f->d, 0, &head, &len));
	assert_int_equal(len, 0);
	assert_memory_equal(fake_ptr(&f->d, b.gpa), zeros, 32);
}

static void a_bad_ring_needs_a_reset(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	fake_set_avail_idx(&f->d, 0, 0x100);
	fake_kick(&f->d, 0);
	assert_true(fake_needs_reset(&f->d));
}

static void it_keeps_answering_as_indexes_wrap(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = { fake_alloc(&f->d, 16, 64), 16 };
	uint32_t head, len;

	fake_start(&f->d, 1ULL << 29, 8);
	for (int i = 0; i < 70000; i++) {
		fake_add(&f->d, 0, &b, 0, 1);
		fake_kick(&f->d, 0);
		assert_true(fake_get_used(&f->d, 0, &head, &len));
	}
	assert_false(fake_needs_reset(&f->d));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_request_is_filled_with_bytes),
		TEST(a_greedy_request_gets_a_bounded_amount),
		TEST(readable_buffers_are_left_alone),
		TEST(a_bad_ring_needs_a_reset),
		TEST(it_keeps_answering_as_indexes_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
