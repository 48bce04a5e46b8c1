/* A ring's requests in flight, followed from outside. */
#include "tests/unit/devices/virtio/virtqueue_fixture.h"

#include "base/le_types.h"
#include "devices/vhost_user/ring_watch.h"

#define ENTRIES 8

static struct ring_watch watch;

static int setup_watch(void **state)
{
	ring_watch_reset(&watch, 0, 0);
	return setup(state);
}

static void give(struct fixture *f, uint16_t head)
{
	fake_make_available(&f->d, 0, head);
}

/* As the process would that has the ring. */
static void use(struct fixture *f, uint32_t head)
{
	uint8_t *used = fake_ptr(&f->d, f->d.queues[0].used);
	uint16_t idx = (uint16_t)(used[2] | used[3] << 8);
	le32_t element[2] = { le32(head), le32(0) };
	le16_t next = le16((uint16_t)(idx + 1));

	memcpy(used + 4 + 8 * (idx % ENTRIES), element, sizeof(element));
	memcpy(used + 2, &next, sizeof(next));
}

static void update(struct fixture *f)
{
	ring_watch_update(&watch, f->vq);
}

/* The heads under way, as bits. */
static unsigned taken(void)
{
	unsigned bits = 0;
	int head;

	while ((head = ring_watch_take(&watch)) >= 0) {
		assert_false(bits >> head & 1);
		bits |= 1u << head;
	}
	return bits;
}

static void what_is_given_is_under_way_until_it_is_used(void **state)
{
	struct fixture *f = *state;

	give(f, 3);
	give(f, 5);
	give(f, 1);
	update(f);
	use(f, 5);
	update(f);
	assert_true(ring_watch_is_exact(&watch));
	assert_int_equal(taken(), 1 << 3 | 1 << 1);
}

static void all_in_one_go(void **state)
{
	struct fixture *f = *state;

	for (uint16_t head = 0; head < 5; head++)
		give(f, head);
	use(f, 4);
	use(f, 0);
	update(f);
	assert_true(ring_watch_is_exact(&watch));
	assert_int_equal(taken(), 1 << 1 | 1 << 2 | 1 << 3);
}

/* One request stays while the others go around the ring and write over its
 * entry, which nobody could find there any more. */
static void a_request_that_never_ends_is_not_forgotten(void **state)
{
	struct fixture *f = *state;

	give(f, 6);
	for (int i = 0; i < 70000; i++) {
		give(f, (uint16_t)(i % 4));
		update(f);
		use(f, (uint32_t)i % 4);
		update(f);
	}
	give(f, 2);
	update(f);
	assert_true(ring_watch_is_exact(&watch));
	assert_int_equal(taken(), 1 << 6 | 1 << 2);
}

/* Given again, used again, before anybody looked. */
static void the_same_head_several_times_between_two_looks(void **state)
{
	struct fixture *f = *state;

	give(f, 7);
	for (int i = 0; i < 3; i++) {
		give(f, 2);
		use(f, 2);
	}
	give(f, 2);
	update(f);
	assert_true(ring_watch_is_exact(&watch));
	assert_int_equal(taken(), 1 << 7 | 1 << 2);
}

static void a_full_ring_is_followed(void **state)
{
	struct fixture *f = *state;

	for (int round = 0; round < 3; round++) {
		for (uint16_t head = 0; head < ENTRIES; head++)
			give(f, head);
		update(f);
		assert_true(ring_watch_is_exact(&watch));
		for (uint32_t head = 0; head < ENTRIES; head++)
			use(f, head);
		update(f);
	}
	assert_true(ring_watch_is_exact(&watch));
	assert_int_equal(taken(), 0);
}

static void more_than_a_ring_between_two_looks_is_known_to_be_lost(void **state)
{
	struct fixture *f = *state;

	give(f, 6);
	for (int i = 0; i < ENTRIES; i++) {
		give(f, 1);
		use(f, 1);
	}
	update(f);
	assert_false(ring_watch_is_exact(&watch));
	/* known again once nothing is under way */
	use(f, 6);
	update(f);
	assert_true(ring_watch_is_exact(&watch));
	give(f, 4);
	update(f);
	assert_true(ring_watch_is_exact(&watch));
	assert_int_equal(taken(), 1 << 4);
}

static void rings_that_make_no_sense_are_not_exact(void **state)
{
	struct fixture *f = *state;

	/* a head beyond all */
	give(f, 0xffff);
	update(f);
	assert_false(ring_watch_is_exact(&watch));
	ring_watch_reset(&watch, 1, 0);
	/* used without having been given */
	give(f, 1);
	use(f, 3);
	update(f);
	assert_false(ring_watch_is_exact(&watch));
	ring_watch_reset(&watch, 2, 1);
	/* given twice at a time */
	give(f, 1);
	give(f, 1);
	update(f);
	assert_false(ring_watch_is_exact(&watch));
	ring_watch_reset(&watch, 4, 1);
	/* an index that jumps */
	fake_set_avail_idx(&f->d, 0, 4 + 1000);
	update(f);
	assert_false(ring_watch_is_exact(&watch));
	ring_watch_reset(&watch, 4, 1);
	fake_set_avail_idx(&f->d, 0, 4);
	use(f, 0x80000000);
	update(f);
	assert_false(ring_watch_is_exact(&watch));
}

static void it_goes_on_from_anywhere(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++) {
		give(f, 0);
		use(f, 0);
	}
	ring_watch_reset(&watch, 5, 5);
	give(f, 3);
	update(f);
	assert_true(ring_watch_is_exact(&watch));
	assert_int_equal(watch.avail, 6);
	assert_int_equal(watch.used, 5);
	assert_int_equal(taken(), 1 << 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_watch, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_given_is_under_way_until_it_is_used),
		TEST(all_in_one_go),
		TEST(a_request_that_never_ends_is_not_forgotten),
		TEST(the_same_head_several_times_between_two_looks),
		TEST(a_full_ring_is_followed),
		TEST(more_than_a_ring_between_two_looks_is_known_to_be_lost),
		TEST(rings_that_make_no_sense_are_not_exact),
		TEST(it_goes_on_from_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
