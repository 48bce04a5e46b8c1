/* What a driver does to a balloon that wants to harm the host, and what happens
 * when it goes in the midst of a request. */
#include "tests/unit/devices/virtio_balloon_fixture.h"

#define REPORTING 4

/* --- pages --- */

static void pages_outside_memory_are_passed_over(void **state)
{
	struct fixture *f = *state;

	start(f, 0, 2);
	LIST_PAGES(f, INFLATE, 0, FIRST_PFN - 1, LAST_PFN, LAST_PFN + 1,
		   0xffffffff, 0x80000000, FIRST_PFN + 64);
	assert_true(got_used(f, INFLATE));
	assert_int_equal(f->discard_count, 2);
	assert_discarded(f, 0, at(LAST_PFN), PAGE);
	assert_discarded(f, 1, at(FIRST_PFN + 64), PAGE);
	assert_false(fake_needs_reset(&f->d));
}

static void a_page_again_and_again_is_given_back_once(void **state)
{
	struct fixture *f = *state;
	uint32_t pfns[PAGE / 4];

	for (unsigned i = 0; i < PAGE / 4; i++)
		pfns[i] = FIRST_PFN + 100 + i % 2;
	start(f, 0, 2);
	list_pages(f, INFLATE, pfns, 256);
	assert_true(got_used(f, INFLATE));
	assert_int_equal(f->discard_count, 1);
	assert_discarded(f, 0, at(FIRST_PFN + 100), 2 * PAGE);
}

/* The list is read before the pages go that it lies in; the rings are gone. */
static void the_pages_of_rings_and_lists_harm_only_the_driver(void **state)
{
	struct fixture *f = *state;

	start(f, 0, 2);
	LIST_PAGES(f, INFLATE, FIRST_PFN, FIRST_PFN + 1, FIRST_PFN + 200);
	assert_int_equal(f->discard_count, 2);
	fake_kick(&f->d, INFLATE);
	fake_kick(&f->d, DEFLATE);
	fake_run_loop(&f->d);
	/* which a reset mends */
	start(f, 0, 2);
	LIST_PAGES(f, INFLATE, FIRST_PFN + 201);
	assert_true(got_used(f, INFLATE));
}

/* --- requests that break the rules --- */

static void assert_broken(struct fixture *f, uint64_t features, unsigned queue,
			  unsigned outs, unsigned ins, uint32_t len)
{
	uint64_t gpa = fake_alloc(&f->d, 16, 16);
	struct fake_buffer b[] = { { gpa, len }, { gpa, len } };

	fake_start(&f->d, features, 16);
	fake_add(&f->d, queue, b, outs, ins);
	fake_kick(&f->d, queue);
	assert_true(fake_needs_reset(&f->d));
	assert_int_equal(f->discard_count, 0);
}

static void buffers_of_the_wrong_direction_break_the_device(void **state)
{
	struct fixture *f = *state;

	assert_broken(f, 0, INFLATE, 0, 1, 8);
	assert_broken(f, 0, INFLATE, 1, 1, 8);
	assert_broken(f, F_REPORTING, REPORTING, 1, 0, 8);
	assert_broken(f, F_REPORTING, REPORTING, 1, 1, 8);
}

static void half_a_page_number_breaks_the_device(void **state)
{
	struct fixture *f = *state;

	assert_broken(f, 0, INFLATE, 1, 0, 7);
	assert_broken(f, 0, INFLATE, 1, 0, 1);
}

static void buffers_outside_memory_break_the_device(void **state)
{
	struct fixture *f = *state;

	assert_broken(f, F_REPORTING, REPORTING, 0, 1, 0xffffffff);
	assert_broken(f, 0, INFLATE, 1, 0, FAKE_RAM_SIZE);
	assert_broken(f, 0, DEFLATE, 1, 0, FAKE_RAM_SIZE);
	assert_broken(f, F_STATS, STATS, 1, 0, FAKE_RAM_SIZE);
}

static void a_bad_ring_breaks_the_device(void **state)
{
	struct fixture *f = *state;

	for (unsigned queue = 0; queue < 5; queue++) {
		if (queue == 3) /* nobody's */
			continue;
		fake_start(&f->d, F_STATS | F_REPORTING, 16);
		fake_set_avail_idx(&f->d, queue, 0x100);
		fake_kick(&f->d, queue);
		assert_true(fake_needs_reset(&f->d));
	}
}

static void empty_requests_are_done_at_once(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer none = { FAKE_RAM_BASE, 0 };

	fake_start(&f->d, F_STATS | F_REPORTING, 16);
	fake_add(&f->d, INFLATE, &none, 1, 0);
	fake_add(&f->d, DEFLATE, &none, 1, 0);
	fake_add(&f->d, REPORTING, &none, 0, 1);
	fake_kick(&f->d, INFLATE);
	fake_kick(&f->d, DEFLATE);
	fake_kick(&f->d, REPORTING);
	assert_true(got_used(f, INFLATE));
	assert_true(got_used(f, DEFLATE));
	assert_true(got_used(f, REPORTING));
	assert_int_equal(f->discard_count, 0);
}

static void of_many_statistics_the_last_count(void **state)
{
	struct virtio_balloon_status status;
	struct fixture *f = *state;
	struct fake_buffer b = { fake_alloc(&f->d, PAGE, 64), PAGE };

	fake_start(&f->d, F_STATS, 16);
	/* a whole page of entries of tag 0, and one of tag 4 too far behind */
	memset(fake_ptr(&f->d, b.gpa), 0, PAGE);
	((uint8_t *)fake_ptr(&f->d, b.gpa))[400 * 10] = BALLOON_FREE;
	for (int i = 0; i < 3; i++)
		fake_add(&f->d, STATS, &b, 1, 0);
	fake_kick(&f->d, STATS);
	assert_true(got_used(f, STATS));
	assert_true(got_used(f, STATS));
	assert_false(got_used(f, STATS));
	virtio_balloon_get_status(f->dev, &status);
	assert_int_equal(status.stats.known, 1u << BALLOON_SWAP_IN);
}

/* --- turns --- */

/* A list of single pages that takes more than one turn. */
static void inflate_much(struct fixture *f)
{
	uint32_t pfns[512];

	for (unsigned i = 0; i < 512; i++)
		pfns[i] = LAST_PFN - 2 * (i % 64);
	list_pages(f, INFLATE, pfns, 512);
}

/* The whole of memory, 32 times. */
static void report_much(struct fixture *f)
{
	struct fake_buffer b[32];

	for (unsigned i = 0; i < 32; i++)
		b[i] = (struct fake_buffer){ at(LAST_PFN - 127), 128 * PAGE };
	fake_setup_queue(&f->d, REPORTING, 32);
	fake_driver_ok(&f->d);
	fake_add(&f->d, REPORTING, b, 0, 32);
	fake_kick(&f->d, REPORTING);
}

static void start_for_much(struct fixture *f)
{
	assert_true(fake_negotiate(&f->d, F_REPORTING));
	fake_setup_queue(&f->d, INFLATE, 16);
	fake_setup_queue(&f->d, DEFLATE, 16);
}

static void a_long_list_takes_turns(void **state)
{
	struct fixture *f = *state;
	unsigned before;

	start(f, 0, 2);
	inflate_much(f);
	before = f->discard_count;
	assert_in_range(before, 1, 511);
	assert_false(got_used(f, INFLATE));
	/* meanwhile others are served */
	LIST_PAGES(f, DEFLATE, FIRST_PFN);
	assert_true(got_used(f, DEFLATE));
	assert_int_equal(f->discard_count, before);
	while (!got_used(f, INFLATE))
		fake_run_loop(&f->d);
	assert_int_equal(f->discard_count, 512);
}

static void a_long_report_takes_turns(void **state)
{
	struct fixture *f = *state;

	start_for_much(f);
	report_much(f);
	assert_in_range(f->discard_count, 1, 31);
	assert_false(got_used(f, REPORTING));
	while (!got_used(f, REPORTING))
		fake_run_loop(&f->d);
	assert_int_equal(f->discard_count, 32);
	assert_int_equal(fake_interrupts(&f->d), 1);
}

static void a_reset_ends_requests_in_their_midst(void **state)
{
	struct fixture *f = *state;
	unsigned before;

	start_for_much(f);
	report_much(f);
	inflate_much(f);
	before = f->discard_count;
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	for (int i = 0; i < 10; i++)
		fake_run_loop(&f->d);
	assert_int_equal(f->discard_count, before);
	assert_int_equal(fake_used_idx(&f->d, REPORTING), 0);
	assert_int_equal(fake_used_idx(&f->d, INFLATE), 0);
	/* and nothing of them is left to the next driver */
	start(f, F_REPORTING, 3);
	LIST_PAGES(f, INFLATE, LAST_PFN);
	assert_true(got_used(f, INFLATE));
	assert_int_equal(f->discard_count, before + 1);
}

static void a_queue_that_is_stopped_forgets_its_request(void **state)
{
	struct fixture *f = *state;
	unsigned before;

	start_for_much(f);
	report_much(f);
	inflate_much(f);
	before = f->discard_count;
	for (uint32_t queue = 0; queue < 5; queue += 4) {
		fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, queue);
		fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
		fake_kick(&f->d, queue);
	}
	for (int i = 0; i < 10; i++)
		fake_run_loop(&f->d);
	assert_int_equal(f->discard_count, before);
	LIST_PAGES(f, DEFLATE, FIRST_PFN);
	assert_true(got_used(f, DEFLATE));
}

static void a_broken_device_serves_nothing_more(void **state)
{
	struct fixture *f = *state;
	unsigned before;

	start(f, 0, 2);
	inflate_much(f);
	before = f->discard_count;
	fake_set_avail_idx(&f->d, DEFLATE, 0x100);
	fake_kick(&f->d, DEFLATE);
	assert_true(fake_needs_reset(&f->d));
	for (int i = 0; i < 10; i++)
		fake_run_loop(&f->d);
	assert_int_equal(f->discard_count, before);
}

static void kicks_before_driver_ok_do_nothing(void **state)
{
	struct fixture *f = *state;

	assert_true(fake_negotiate(&f->d, F_REPORTING));
	fake_setup_queue(&f->d, INFLATE, 16);
	LIST_PAGES(f, INFLATE, LAST_PFN);
	fake_kick(&f->d, 0xffffffff);
	assert_int_equal(f->discard_count, 0);
	/* but what was given by then is not forgotten */
	fake_driver_ok(&f->d);
	fake_run_loop(&f->d);
	assert_int_equal(f->discard_count, 1);
	assert_true(got_used(f, INFLATE));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(pages_outside_memory_are_passed_over),
		TEST(a_page_again_and_again_is_given_back_once),
		TEST(the_pages_of_rings_and_lists_harm_only_the_driver),
		TEST(buffers_of_the_wrong_direction_break_the_device),
		TEST(half_a_page_number_breaks_the_device),
		TEST(buffers_outside_memory_break_the_device),
		TEST(a_bad_ring_breaks_the_device),
		TEST(empty_requests_are_done_at_once),
		TEST(of_many_statistics_the_last_count),
		TEST(a_long_list_takes_turns),
		TEST(a_long_report_takes_turns),
		TEST(a_reset_ends_requests_in_their_midst),
		TEST(a_queue_that_is_stopped_forgets_its_request),
		TEST(a_broken_device_serves_nothing_more),
		TEST(kicks_before_driver_ok_do_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
