/* Several request queues, and requests that have to wait in them. */
#include "devices/virtio/virtio_state.h"
#include "tests/unit/devices/block/virtio_blk_fixture.h"

#define MQ (1ULL << VIRTIO_BLK_F_MQ)

static int setup_two(void **state)
{
	fixture_queues = 2;
	return setup(state);
}

static int setup_two_real(void **state)
{
	fixture_queues = 2;
	return setup_real(state);
}

static int setup_most(void **state)
{
	fixture_queues = VIRTIO_BLK_QUEUES_MAX;
	return setup(state);
}

static int teardown_queues(void **state)
{
	fixture_queues = 1;
	return teardown(state);
}

static void config_space_tells_the_number_of_queues(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_config(&f->d, 34, 2), fixture_queues);
	assert_int_equal(fake_negotiate(&f->d, MQ), fixture_queues > 1);
}

static void each_queue_gets_its_own_requests_back(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = fake_ptr(&f->d, f->data);
	uint32_t head, len;

	fake_start(&f->d, MQ, 8);
	for (unsigned i = 0; i < fixture_queues; i++) {
		submit_to(f, i, VIRTIO_BLK_T_IN, 10 + i, 512);
		assert_int_equal(finish_on(f, i, &len), VIRTIO_BLK_S_OK);
		assert_int_equal(data[0], 10 + i);
		for (unsigned j = 0; j < fixture_queues; j++)
			assert_false(fake_get_used(&f->d, j, &head, &len));
	}
}

/* The flag of a driver that does not want interrupts of a queue. */
static void forbid_interrupts(struct fixture *f, unsigned queue)
{
	*(uint8_t *)fake_ptr(&f->d, f->d.queues[queue].avail) = 1;
}

static void only_queues_with_news_interrupt(void **state)
{
	struct fixture *f = *state;
	uint32_t len;

	fake_start(&f->d, MQ, 8);
	forbid_interrupts(f, 1);
	fake_interrupts(&f->d);
	submit_to(f, 1, VIRTIO_BLK_T_IN, 0, 512);
	finish_on(f, 1, &len);
	assert_int_equal(fake_interrupts(&f->d), 0);
	submit_to(f, 0, VIRTIO_BLK_T_IN, 0, 512);
	finish_on(f, 0, &len);
	assert_int_equal(fake_interrupts(&f->d), 1);
	/* both at once */
	fake_start(&f->d, MQ, 8);
	forbid_interrupts(f, 0);
	fake_interrupts(&f->d);
	submit_to(f, 0, VIRTIO_BLK_T_IN, 0, 512);
	submit_to(f, 1, VIRTIO_BLK_T_IN, 0, 512);
	finish_on(f, 1, &len);
	assert_int_equal(fake_interrupts(&f->d), 1);
}

static void stop_queue(struct fixture *f, unsigned queue)
{
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, queue);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
}

/* Requests of the other queue, which the engine has before and after those of
 * the stopped one, are cut short on the way, and are whole in the end. */
static void a_queue_that_stops_leaves_the_other_alone(void **state)
{
	struct fixture *f = *state;
	uint64_t first = fake_alloc(&f->d, 2048, 16);
	uint64_t last = fake_alloc(&f->d, 2048, 16);
	uint8_t *data = fake_ptr(&f->d, f->data), *p;
	uint32_t len;

	fake_start(&f->d, MQ, 8);
	sync_engine_hold = true;
	sync_engine_short = 100;
	for (int i = 0; i < 3; i++) {
		uint64_t to = i == 0 ? first : i == 1 ? f->data : last;
		struct fake_buffer b[] = { { f->header, 16 },
					   { to, 2048 },
					   { f->status, 1 } };

		set_header(f, f->header, VIRTIO_BLK_T_IN, 20);
		fake_add(&f->d, i == 1 ? 0 : 1, b, 1, 2);
		fake_kick(&f->d, i == 1 ? 0 : 1);
	}
	memset(data, 0, 2048);
	fake_interrupts(&f->d);
	stop_queue(f, 0);
	sync_engine_hold = false;
	p = fake_ptr(&f->d, f->data);
	assert_int_equal(p[2047], 0);
	finish_on(f, 1, &len);
	assert_int_equal(len, 2049);
	finish_on(f, 1, &len);
	assert_int_equal(len, 2049);
	assert_true(fake_interrupts(&f->d) > 0);
	for (int i = 0; i < 2048; i++) {
		p = fake_ptr(&f->d, first);
		assert_int_equal(p[i], 20 + i / 512);
		p = fake_ptr(&f->d, last);
		assert_int_equal(p[i], 20 + i / 512);
	}
	assert_false(fake_needs_reset(&f->d));
}

/* The device looks at a request again when it goes on: it has the same effect,
 * as the driver stands still meanwhile. */
static void a_pause_cuts_requests_short(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = fake_ptr(&f->d, f->data);
	uint32_t len;

	fake_start(&f->d, 0, 8);
	sync_engine_hold = true;
	sync_engine_short = 100;
	submit(f, VIRTIO_BLK_T_IN, 20, 2048);
	virtio_device_quiesce(f->dev);
	assert_int_equal(fake_used_idx(&f->d, 0), 0);
	memset(data, 0, 2048);
	sync_engine_hold = false;
	sync_engine_short = 0;
	fake_run_loop(&f->d);
	assert_int_equal(data[0], 0);
	virtio_device_resume(f->dev);
	assert_int_equal(finish(f, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(len, 2049);
	for (int i = 0; i < 2048; i++)
		assert_int_equal(data[i], 20 + i / 512);
}

/* Both on the engines of the program. */
static void queues_stop_in_mid_traffic(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = fake_ptr(&f->d, f->data);
	uint32_t head, len;

	for (int round = 0; round < 20; round++) {
		unsigned used = 0;

		fake_start(&f->d, MQ | 1ULL << VIRTIO_BLK_F_FLUSH, 64);
		f->d.next_alloc = f->status + 16; /* the rings' again */
		for (unsigned i = 0; i < 16; i++) {
			submit_to(f, 0, VIRTIO_BLK_T_FLUSH, 0, 0);
			submit_to(f, 1, VIRTIO_BLK_T_FLUSH, 0, 0);
			submit_to(f, 1, VIRTIO_BLK_T_IN, 5, 4096);
		}
		stop_queue(f, 0);
		for (int i = 0; i < 5000 && used < 32; i++) {
			while (fake_get_used(&f->d, 1, &head, &len))
				used++;
			fake_run_loop(&f->d);
			usleep(i < 10 ? 0 : 1000);
		}
		assert_int_equal(used, 32);
		assert_int_equal(data[4095], 12);
	}
}

/* Fills the device with requests of queue 0, so that one of queue 1 waits. */
static void fill_up(struct fixture *f)
{
	struct fake_buffer b[] = { { f->header, 16 }, { f->status, 1 } };

	fake_start(&f->d, MQ, 128);
	sync_engine_hold = true;
	set_header(f, f->header, VIRTIO_BLK_T_FLUSH, 0);
	fake_add(&f->d, 0, b, 1, 1);
	for (int i = 0; i < 127; i++)
		fake_make_available(&f->d, 0, 0);
	fake_kick(&f->d, 0);
	submit_to(f, 1, VIRTIO_BLK_T_IN, 9, 512);
	assert_int_equal(fake_used_idx(&f->d, 1), 0);
}

static void a_queue_waits_for_another_to_make_room(void **state)
{
	struct fixture *f = *state;
	uint32_t len;

	fill_up(f);
	sync_engine_hold = false;
	assert_int_equal(finish_on(f, 1, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(len, 513);
	assert_int_equal(fake_used_idx(&f->d, 0), 128);
}

static void a_queue_that_stops_makes_room(void **state)
{
	struct fixture *f = *state;
	uint32_t len;

	fill_up(f);
	stop_queue(f, 0);
	sync_engine_hold = false;
	assert_int_equal(finish_on(f, 1, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(len, 513);
}

static void a_reset_forgets_who_waits(void **state)
{
	struct fixture *f = *state;
	uint32_t len;

	fill_up(f);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	memset(f->d.ram, 0x77, FAKE_RAM_SIZE);
	sync_engine_hold = false;
	fake_run_loop(&f->d);
	for (size_t i = 0; i < FAKE_RAM_SIZE; i++)
		assert_int_equal(f->d.ram[i], 0x77);
	fake_start(&f->d, MQ, 8);
	submit_to(f, 1, VIRTIO_BLK_T_IN, 9, 512);
	assert_int_equal(finish_on(f, 1, &len), VIRTIO_BLK_S_OK);
}

static void a_bad_ring_stops_all_queues(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, MQ, 8);
	fake_set_avail_idx(&f->d, 1, 0x2000);
	fake_kick(&f->d, 1);
	assert_true(fake_needs_reset(&f->d));
	submit_to(f, 0, VIRTIO_BLK_T_IN, 9, 512);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, 0), 0);
	/* no such queue */
	fake_start(&f->d, MQ, 8);
	fake_kick(&f->d, 2);
	fake_kick(&f->d, UINT32_MAX);
	assert_false(fake_needs_reset(&f->d));
}

int main(void)
{
#define TEST_ON(name, setup) \
	cmocka_unit_test_setup_teardown(name, setup, teardown_queues)
#define TEST(name) TEST_ON(name, setup_two)
	const struct CMUnitTest tests[] = {
		TEST(config_space_tells_the_number_of_queues),
		TEST_ON(config_space_tells_the_number_of_queues, setup),
		TEST_ON(config_space_tells_the_number_of_queues, setup_most),
		TEST(each_queue_gets_its_own_requests_back),
		TEST_ON(each_queue_gets_its_own_requests_back, setup_most),
		TEST_ON(each_queue_gets_its_own_requests_back, setup_two_real),
		TEST(only_queues_with_news_interrupt),
		TEST(a_queue_that_stops_leaves_the_other_alone),
		TEST(a_pause_cuts_requests_short),
		TEST_ON(queues_stop_in_mid_traffic, setup_two_real),
		TEST(a_queue_waits_for_another_to_make_room),
		TEST(a_queue_that_stops_makes_room),
		TEST(a_reset_forgets_who_waits),
		TEST(a_bad_ring_stops_all_queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
