/* What an honest driver does with a balloon. */
#include "tests/unit/devices/virtio_balloon_fixture.h"

#include <poll.h>
#include <stdlib.h>

/* --- configuration --- */

static int setup_plain(void **state)
{
	return set_up(state, &(struct virtio_balloon_options){ 0 });
}

static void features_are_what_was_asked_for(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->dev->ops->device_id, 5);
	assert_int_equal(f->dev->features & 0xff,
			 F_STATS | F_REPORTING | F_POISON |
				 1u << VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
}

static void a_plain_balloon_has_neither_statistics_nor_reporting(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->dev->features & 0xff,
			 1u << VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
	assert_false(fake_negotiate(&f->d, F_REPORTING));
	assert_false(fake_negotiate(&f->d, F_STATS));
}

static void the_driver_reads_the_target_and_writes_what_it_gave(void **state)
{
	struct virtio_balloon_status status;
	struct fixture *f = *state;

	start(f, 0, 2);
	assert_int_equal(fake_config(&f->d, CONFIG(num_pages), 4), 64);
	write_config(f, CONFIG(actual), 63);
	write_config(f, CONFIG(num_pages), 1);
	write_config(f, CONFIG(free_page_hint_cmd_id), 2);
	write_config(f, CONFIG(actual) + 2, 0xffffffff);
	assert_int_equal(fake_config(&f->d, CONFIG(num_pages), 4), 64);
	assert_int_equal(fake_config(&f->d, CONFIG(actual), 4), 63);
	assert_int_equal(fake_config(&f->d, CONFIG(free_page_hint_cmd_id), 4),
			 0);
	virtio_balloon_get_status(f->dev, &status);
	assert_int_equal(status.target, 64 * PAGE);
	assert_int_equal(status.actual, 63 * PAGE);
	/* another driver has another balloon */
	start(f, 0, 2);
	assert_int_equal(fake_config(&f->d, CONFIG(actual), 4), 0);
	assert_int_equal(fake_config(&f->d, CONFIG(num_pages), 4), 64);
}

static void a_new_target_is_told_to_a_driver_that_is_up(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(virtio_balloon_set_target(f->dev, 10 * PAGE), 0);
	assert_int_equal(fake_interrupts(&f->d), 0);
	start(f, 0, 2);
	assert_int_equal(fake_config(&f->d, CONFIG(num_pages), 4), 10);
	assert_int_equal(
		virtio_balloon_set_target(f->dev, 20 * PAGE + PAGE - 1), 0);
	assert_int_equal(fake_config(&f->d, CONFIG(num_pages), 4), 20);
	assert_int_equal(fake_interrupts(&f->d), 1);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS),
			 VIRTIO_MMIO_INT_CONFIG);
}

static void a_target_beyond_guest_memory_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(virtio_balloon_set_target(f->dev, FAKE_RAM_SIZE), 0);
	assert_int_equal(virtio_balloon_set_target(f->dev, FAKE_RAM_SIZE + 1),
			 -EINVAL);
	assert_int_equal(virtio_balloon_set_target(f->dev, UINT64_MAX),
			 -EINVAL);
	assert_int_equal(fake_config(&f->d, CONFIG(num_pages), 4),
			 FAKE_RAM_SIZE / PAGE);
}

static void a_balloon_larger_than_the_guest_is_not_made(void **state)
{
	const struct virtio_balloon_options options = {
		.target = 2 * FAKE_RAM_SIZE,
		.stats_every = 1,
	};
	struct fixture *f = *state;
	struct error err;

	assert_null(
		virtio_balloon_create(&options, &f->d.mem, f->d.loop, &err));
	assert_string_equal(err.text, "balloon: Invalid argument");
	virtio_device_destroy(NULL);
}

/* --- inflating and deflating --- */

static void pages_that_are_neighbours_go_together(void **state)
{
	struct fixture *f = *state;
	uint32_t p = FIRST_PFN + 64;

	start(f, 0, 2);
	LIST_PAGES(f, INFLATE, p, p + 1, p + 2, p + 9, p + 8, p + 7, p + 6,
		   p + 20);
	assert_true(got_used(f, INFLATE));
	assert_int_equal(f->discard_count, 3);
	assert_discarded(f, 0, at(p), 3 * PAGE);
	assert_discarded(f, 1, at(p + 6), 4 * PAGE);
	assert_discarded(f, 2, at(p + 20), PAGE);
	assert_int_equal(fake_interrupts(&f->d), 1);
}

static void a_list_may_lie_in_pieces(void **state)
{
	struct fixture *f = *state;
	uint64_t list = fake_alloc(&f->d, 64, 64);
	struct fake_buffer b[] = { { list, 3 }, { list + 32, 5 } };
	le32_t pfns[] = { le32(FIRST_PFN + 70), le32(FIRST_PFN + 80) };

	start(f, 0, 2);
	memcpy(fake_ptr(&f->d, list), pfns, 3);
	memcpy(fake_ptr(&f->d, list + 32), (uint8_t *)pfns + 3, 5);
	fake_add(&f->d, INFLATE, b, 2, 0);
	fake_kick(&f->d, INFLATE);
	assert_true(got_used(f, INFLATE));
	assert_int_equal(f->discard_count, 2);
	assert_discarded(f, 0, at(FIRST_PFN + 70), PAGE);
	assert_discarded(f, 1, at(FIRST_PFN + 80), PAGE);
}

static void deflating_gives_nothing_back(void **state)
{
	struct fixture *f = *state;

	start(f, 0, 2);
	LIST_PAGES(f, DEFLATE, FIRST_PFN + 64, FIRST_PFN + 65);
	assert_true(got_used(f, DEFLATE));
	assert_int_equal(f->discard_count, 0);
}

static void
a_host_that_takes_nothing_back_does_not_stop_the_driver(void **state)
{
	struct fixture *f = *state;

	start(f, 0, 2);
	f->discard_result = -EINVAL;
	LIST_PAGES(f, INFLATE, FIRST_PFN + 64);
	assert_true(got_used(f, INFLATE));
	assert_false(fake_needs_reset(&f->d));
}

/* --- reporting --- */

static void report(struct fixture *f, unsigned queue)
{
	struct fake_buffer b[] = { { at(FIRST_PFN + 64), 8 * PAGE },
				   { at(FIRST_PFN + 128), 16 * PAGE } };

	fake_add(&f->d, queue, b, 0, 2);
	fake_kick(&f->d, queue);
}

static void assert_reported(struct fixture *f, unsigned queue)
{
	report(f, queue);
	assert_true(got_used(f, queue));
	assert_int_equal(f->discard_count, 2);
	assert_discarded(f, 0, at(FIRST_PFN + 64), 8 * PAGE);
	assert_discarded(f, 1, at(FIRST_PFN + 128), 16 * PAGE);
	f->discard_count = 0;
}

static void linux_numbers_the_queues_that_exist(void **state)
{
	struct fixture *f = *state;

	start(f, F_REPORTING, 3);
	assert_reported(f, 2);
	start(f, F_REPORTING | F_STATS, 4);
	assert_reported(f, 3);
	report(f, STATS);
	assert_int_equal(f->discard_count, 0);
}

static void the_specification_numbers_all_queues(void **state)
{
	static const uint64_t features[] = { F_REPORTING,
					     F_REPORTING | F_STATS };
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		assert_true(fake_negotiate(&f->d, features[i]));
		fake_setup_queue(&f->d, INFLATE, 16);
		fake_setup_queue(&f->d, DEFLATE, 16);
		if (features[i] & F_STATS)
			fake_setup_queue(&f->d, STATS, 16);
		fake_setup_queue(&f->d, 4, 16);
		fake_driver_ok(&f->d);
		assert_reported(f, 4);
	}
}

static void a_queue_without_its_feature_is_nobodys(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 16);
	for (unsigned queue = STATS; queue < f->dev->queue_count; queue++) {
		report(f, queue);
		assert_int_equal(fake_used_idx(&f->d, queue), 0);
	}
	assert_int_equal(f->discard_count, 0);
	assert_false(fake_needs_reset(&f->d));
}

static void free_pages_keep_what_the_guest_filled_them_with(void **state)
{
	struct fixture *f = *state;

	/* a value of zero is what the host leaves, too */
	assert_true(fake_negotiate(&f->d, F_REPORTING | F_POISON));
	fake_setup_queue(&f->d, 2, 16);
	write_config(f, CONFIG(poison_val), 0);
	fake_driver_ok(&f->d);
	assert_reported(f, 2);

	assert_true(fake_negotiate(&f->d, F_REPORTING | F_POISON));
	fake_setup_queue(&f->d, INFLATE, 16);
	fake_setup_queue(&f->d, 2, 16);
	write_config(f, CONFIG(poison_val), 0xaaaaaaaa);
	fake_driver_ok(&f->d);
	report(f, 2);
	assert_true(got_used(f, 2));
	assert_int_equal(f->discard_count, 0);
	LIST_PAGES(f, INFLATE, FIRST_PFN + 64); /* no longer the guest's */
	assert_int_equal(f->discard_count, 1);
	f->discard_count = 0;

	/* and without the feature the value says nothing */
	start(f, F_REPORTING, 3);
	assert_reported(f, 2);
}

/* --- statistics --- */

/* A list of tags and values; of it, `entries` and then a half. */
static struct fake_buffer make_stats(struct fixture *f, unsigned entries,
				     const uint16_t *tags,
				     const uint64_t *values)
{
	struct fake_buffer b = { fake_alloc(&f->d, 10 * entries + 5, 64),
				 10 * entries + 5 };
	uint8_t *out = fake_ptr(&f->d, b.gpa);

	for (unsigned i = 0; i < entries; i++, out += 10) {
		le16_t tag = le16(tags[i]);
		le64_t value = le64(values[i]);

		memcpy(out, &tag, 2);
		memcpy(out + 2, &value, 8);
	}
	return b;
}

static void give_stats(struct fixture *f, uint64_t free_bytes)
{
	static const uint16_t tags[] = { 999, BALLOON_FREE, BALLOON_OOM_KILLS };
	const uint64_t values[] = { 7, free_bytes, 3 };
	struct fake_buffer b = make_stats(f, 3, tags, values);

	fake_add(&f->d, STATS, &b, 1, 0);
	fake_kick(&f->d, STATS);
}

static void assert_stats(struct fixture *f, uint64_t free_bytes)
{
	struct virtio_balloon_status status;

	virtio_balloon_get_status(f->dev, &status);
	assert_int_equal(status.stats.known,
			 1u << BALLOON_FREE | 1u << BALLOON_OOM_KILLS);
	assert_true(status.stats.known >> BALLOON_FREE & 1);
	assert_false(status.stats.known >> BALLOON_TOTAL & 1);
	assert_int_equal(status.stats.value[BALLOON_FREE], free_bytes);
	assert_int_equal(status.stats.value[BALLOON_OOM_KILLS], 3);
}

/* Lets time pass until the device asks for statistics. */
static void wait_for_request(struct fixture *f)
{
	for (int i = 0; i < 200 && !fake_interrupts(&f->d); i++) {
		poll(NULL, 0, 50);
		fake_run_loop(&f->d);
	}
	assert_true(got_used(f, STATS));
}

static void statistics_that_came_before_driver_ok_are_read(void **state)
{
	struct fixture *f = *state;

	assert_true(fake_negotiate(&f->d, F_STATS));
	fake_setup_queue(&f->d, STATS, 16);
	give_stats(f, 1 << 20);
	fake_driver_ok(&f->d);
	fake_run_loop(&f->d);
	assert_stats(f, 1 << 20);
	assert_int_equal(fake_used_idx(&f->d, STATS), 0);
}

static void statistics_are_asked_for_again_and_again(void **state)
{
	struct fixture *f = *state;

	start(f, F_STATS, 3);
	give_stats(f, 1);
	for (uint64_t i = 2; i < 4; i++) {
		wait_for_request(f);
		give_stats(f, i << 20);
		assert_stats(f, i << 20);
	}
	start(f, F_STATS, 3);
	give_stats(f, 5);
	assert_stats(f, 5);
	wait_for_request(f);
}

static void a_driver_that_has_gone_is_not_asked(void **state)
{
	struct fixture *f = *state;

	start(f, F_STATS, 3);
	give_stats(f, 1);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	for (int i = 0; i < 25; i++) {
		poll(NULL, 0, 50);
		fake_run_loop(&f->d);
	}
	assert_int_equal(fake_interrupts(&f->d), 0);
}

static void statistics_are_one_line_of_text(void **state)
{
	struct balloon_stats stats = { 0 };
	char text[512], *small;

	(void)state;
	balloon_stats_print(&stats, text, sizeof(text));
	assert_string_equal(text, "");
	stats.known = 1u << BALLOON_FREE | 1u << BALLOON_OOM_KILLS |
		      1u << BALLOON_MINOR_FAULTS;
	stats.value[BALLOON_FREE] = 300 << 20 | 5;
	stats.value[BALLOON_OOM_KILLS] = 2;
	balloon_stats_print(&stats, text, sizeof(text));
	assert_string_equal(text, "free 300 MiB, OOM kills 2");
	/* whatever the guest says, and however small the buffer */
	memset(&stats, 0xff, sizeof(stats));
	balloon_stats_print(&stats, text, sizeof(text));
	assert_true(strlen(text) < sizeof(text) - 200);
	small = malloc(20);
	balloon_stats_print(&stats, small, 20);
	assert_int_equal(strlen(small), 19);
	free(small);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(features_are_what_was_asked_for),
		cmocka_unit_test_setup_teardown(
			a_plain_balloon_has_neither_statistics_nor_reporting,
			setup_plain, teardown),
		TEST(the_driver_reads_the_target_and_writes_what_it_gave),
		TEST(a_new_target_is_told_to_a_driver_that_is_up),
		TEST(a_target_beyond_guest_memory_is_refused),
		TEST(a_balloon_larger_than_the_guest_is_not_made),
		TEST(pages_that_are_neighbours_go_together),
		TEST(a_list_may_lie_in_pieces),
		TEST(deflating_gives_nothing_back),
		TEST(a_host_that_takes_nothing_back_does_not_stop_the_driver),
		TEST(linux_numbers_the_queues_that_exist),
		TEST(the_specification_numbers_all_queues),
		TEST(a_queue_without_its_feature_is_nobodys),
		TEST(free_pages_keep_what_the_guest_filled_them_with),
		TEST(statistics_that_came_before_driver_ok_are_read),
		TEST(statistics_are_asked_for_again_and_again),
		TEST(a_driver_that_has_gone_is_not_asked),
		TEST(statistics_are_one_line_of_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
