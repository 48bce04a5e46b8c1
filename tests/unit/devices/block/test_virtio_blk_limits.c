/* A disk with limits: on a clock that stands still unless a test moves it. */
#include "tests/unit/devices/block/virtio_blk_fixture.h"

#include "devices/block/virtio_blk_device.h"

#define MS 1000000LL
#define FLUSH (1ULL << VIRTIO_BLK_F_FLUSH)

static int64_t now;

static int64_t test_clock(void)
{
	return now;
}

static int setup_limits(void **state, struct rate_limits limits,
			unsigned queues)
{
	struct fixture *f = &fixture;
	struct virtio_blk *blk;
	int ret;

	fixture_queues = queues;
	fixture_limits = limits;
	ret = setup(state);
	blk = container_of(f->dev, struct virtio_blk, dev);
	now = blk->limiter.clock();
	blk->limiter.clock = test_clock;
	return ret;
}

/* Five operations at once, then one a millisecond. */
static const struct rate_limits ops = { .ops = { 1000, 5 } };

static int setup_ops(void **state)
{
	return setup_limits(state, ops, 1);
}

static int setup_two(void **state)
{
	return setup_limits(state, ops, 2);
}

/* A sector at once, then one a millisecond. */
static int setup_bytes(void **state)
{
	return setup_limits(
		state, (struct rate_limits){ .bytes = { 512000, 512 } }, 1);
}

static int teardown_limits(void **state)
{
	fixture_queues = 1;
	fixture_limits = (struct rate_limits){ 0 };
	return teardown(state);
}

/* The used index, once the event loop had time for a timer. */
static uint16_t used_after_a_while(struct fixture *f, unsigned queue)
{
	for (int i = 0; i < 20; i++) {
		usleep(1000);
		fake_run_loop(&f->d);
	}
	return fake_used_idx(&f->d, queue);
}

/* Lets time pass until so many were used. */
static void wait_for_used(struct fixture *f, unsigned queue, uint16_t used)
{
	for (int i = 0; i < 5000 && fake_used_idx(&f->d, queue) < used; i++) {
		now += MS / 4;
		fake_run_loop(&f->d);
		usleep(1000);
	}
	assert_true(fake_used_idx(&f->d, queue) >= used);
}

/* Reads of one sector, for which the driver kicks once. */
static void submit_reads(struct fixture *f, unsigned queue, unsigned count)
{
	struct fake_buffer b[] = { { f->header, 16 },
				   { f->data, 512 },
				   { f->status, 1 } };

	set_header(f, f->header, VIRTIO_BLK_T_IN, 3);
	for (unsigned i = 0; i < count; i++)
		fake_add(&f->d, queue, b, 1, 2);
	fake_kick(&f->d, queue);
}

static void requests_beyond_the_limit_wait_in_their_ring(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = fake_ptr(&f->d, f->data);
	uint32_t head, len;

	fake_start(&f->d, FLUSH, 128);
	submit_reads(f, 0, 20);
	assert_in_range(used_after_a_while(f, 0), 5, 6);
	wait_for_used(f, 0, 8);
	used_after_a_while(f, 0);
	assert_in_range(fake_used_idx(&f->d, 0), 8, 14);
	/* kicks bring nothing */
	for (int i = 0; i < 100; i++)
		fake_kick(&f->d, 0);
	assert_in_range(used_after_a_while(f, 0), 8, 14);
	wait_for_used(f, 0, 20);
	assert_int_equal(data[0], 3);
	assert_true(fake_interrupts(&f->d) > 0);
	/* and the driver kicks again for what comes now */
	while (fake_get_used(&f->d, 0, &head, &len))
		;
	now += 5 * MS;
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
}

static void everything_counts_as_an_operation(void **state)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_FLUSH,
					  VIRTIO_BLK_T_GET_ID, 99,
					  VIRTIO_BLK_T_DISCARD };
	struct fixture *f = *state;
	uint16_t used;

	fake_start(&f->d, FLUSH, 128);
	for (int i = 0; i < 8; i++)
		submit(f, types[i % 4], 0, 0);
	used = used_after_a_while(f, 0);
	assert_in_range(used, 5, 6);
}

static void a_request_larger_than_the_limit_passes(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, FLUSH, 128);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, 8192),
			 VIRTIO_BLK_S_OK);
	submit(f, VIRTIO_BLK_T_IN, 0, 8192);
	now += 14 * MS;
	assert_int_equal(used_after_a_while(f, 0), 1);
	wait_for_used(f, 0, 2);
	/* what is refused moves nothing */
	now += 20 * MS;
	for (int i = 0; i < 4; i++)
		submit(f, VIRTIO_BLK_T_IN, SECTORS, 8192);
	assert_int_equal(fake_used_idx(&f->d, 0), 6);
}

static void zeroes_count_where_they_are_written(void **state)
{
	struct fixture *f = *state;
	le64_t sector = le64(0);
	le32_t sectors = le32(64);
	uint32_t len;

	fake_start(&f->d,
		   FLUSH | 1ULL << VIRTIO_BLK_F_WRITE_ZEROES |
			   1ULL << VIRTIO_BLK_F_DISCARD,
		   128);
	for (int i = 0; i < 3; i++) {
		memset(fake_ptr(&f->d, f->data), 0, 16);
		memcpy(fake_ptr(&f->d, f->data), &sector, 8);
		memcpy((uint8_t *)fake_ptr(&f->d, f->data) + 8, &sectors, 4);
		set_header(f, f->header,
			   i ? VIRTIO_BLK_T_WRITE_ZEROES : VIRTIO_BLK_T_DISCARD,
			   0);
		fake_add(&f->d, 0,
			 (struct fake_buffer[]){ { f->header, 16 },
						 { f->data, 16 },
						 { f->status, 1 } },
			 2, 1);
		fake_kick(&f->d, 0);
		sync_engine_fallocate_error = i ? EOPNOTSUPP : 0;
		if (i < 2)
			assert_int_equal(finish(f, &len), VIRTIO_BLK_S_OK);
	}
	now += 60 * MS;
	assert_int_equal(used_after_a_while(f, 0), 2);
	wait_for_used(f, 0, 3);
}

static void a_reset_while_limited_leaves_nothing_behind(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, FLUSH, 128);
	submit_reads(f, 0, 20);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	memset(f->d.ram, 0x77, FAKE_RAM_SIZE);
	now += 100 * MS;
	used_after_a_while(f, 0);
	for (size_t i = 0; i < FAKE_RAM_SIZE; i++)
		assert_int_equal(f->d.ram[i], 0x77);
	/* the limit outlives it */
	fake_start(&f->d, FLUSH, 128);
	submit_reads(f, 0, 20);
	assert_in_range(used_after_a_while(f, 0), 5, 6);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	fake_start(&f->d, FLUSH, 128);
	submit_reads(f, 0, 20);
	assert_in_range(used_after_a_while(f, 0), 0, 1);
}

static void a_limit_holds_for_all_queues_together(void **state)
{
	struct fixture *f = *state;
	uint16_t first = 0, second = 0;

	fake_start(&f->d, FLUSH, 128);
	submit_reads(f, 0, 60);
	submit_reads(f, 1, 60);
	for (int i = 0; i < 1000 && first + second < 30; i++) {
		now += 5 * MS;
		used_after_a_while(f, 0);
		first = fake_used_idx(&f->d, 0);
		second = fake_used_idx(&f->d, 1);
	}
	/* neither waits for the other to end */
	assert_in_range(first, 10, 26);
	assert_in_range(second, 10, 26);
}

static void a_queue_that_stops_while_limited_leaves_the_other(void **state)
{
	struct fixture *f = *state;
	uint16_t first;

	fake_start(&f->d, FLUSH, 128);
	submit_reads(f, 0, 20);
	first = used_after_a_while(f, 0);
	submit_reads(f, 1, 5);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, 0);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
	wait_for_used(f, 1, 5);
	assert_int_equal(fake_used_idx(&f->d, 0), first);
}

/* Slots run out while there is nothing left of the limit, too. */
static void a_full_and_limited_device_goes_on(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b[] = { { f->header, 16 }, { f->status, 1 } };

	now += 1000 * MS;
	fake_start(&f->d, FLUSH, 128);
	sync_engine_hold = true;
	set_header(f, f->header, VIRTIO_BLK_T_FLUSH, 0);
	fake_add(&f->d, 0, b, 1, 1);
	for (int i = 0; i < 127; i++)
		fake_make_available(&f->d, 0, 0);
	for (int i = 0; i < 26; i++) {
		now += 5 * MS;
		fake_kick(&f->d, 0);
	}
	submit_reads(f, 1, 3);
	sync_engine_hold = false;
	wait_for_used(f, 0, 128);
	wait_for_used(f, 1, 3);
}

int main(void)
{
#define TEST_ON(name, setup) \
	cmocka_unit_test_setup_teardown(name, setup, teardown_limits)
	const struct CMUnitTest tests[] = {
		TEST_ON(requests_beyond_the_limit_wait_in_their_ring,
			setup_ops),
		TEST_ON(everything_counts_as_an_operation, setup_ops),
		TEST_ON(a_request_larger_than_the_limit_passes, setup_bytes),
		TEST_ON(zeroes_count_where_they_are_written, setup_bytes),
		TEST_ON(a_reset_while_limited_leaves_nothing_behind, setup_ops),
		TEST_ON(a_limit_holds_for_all_queues_together, setup_two),
		TEST_ON(a_queue_that_stops_while_limited_leaves_the_other,
			setup_two),
		TEST_ON(a_full_and_limited_device_goes_on, setup_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
