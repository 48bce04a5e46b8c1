#include "tests/unit/devices/virtio/virtqueue_fixture.h"

static void an_empty_queue_pops_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(virtqueue_pop(f->vq, &f->chain), 0);
}

static void a_chain_comes_out_as_it_went_in(void **state)
{
	struct fixture *f = *state;
	uint64_t a = buf(f, 100), gap = buf(f, 1), b = buf(f, 200);
	struct fake_buffer buffers[] = { { a, 10 }, { b, 20 }, { a + 50, 5 } };

	(void)gap;
	assert_int_equal(fake_add(&f->d, 0, buffers, 2, 1), 0);
	assert_int_equal(virtqueue_pop(f->vq, &f->chain), 1);
	assert_int_equal(f->chain.head, 0);
	assert_int_equal(f->chain.out_count, 2);
	assert_int_equal(f->chain.in_count, 1);
	assert_ptr_equal(f->chain.iov[0].iov_base, fake_ptr(&f->d, a));
	assert_int_equal(f->chain.iov[1].iov_len, 20);
	assert_ptr_equal(f->chain.iov[2].iov_base, fake_ptr(&f->d, a + 50));
	assert_int_equal(virtqueue_pop(f->vq, &f->chain), 0);
}

static void neighbours_of_one_direction_become_one_iovec(void **state)
{
	struct fixture *f = *state;
	uint64_t a = buf(f, 100);
	struct fake_buffer buffers[] = { { a, 10 },
					 { a + 10, 20 },
					 { a + 30, 5 } };

	fake_add(&f->d, 0, buffers, 2, 1);
	assert_int_equal(virtqueue_pop(f->vq, &f->chain), 1);
	assert_int_equal(f->chain.out_count, 1);
	assert_int_equal(f->chain.iov[0].iov_len, 30);
	assert_int_equal(f->chain.in_count, 1);
	assert_int_equal(f->chain.iov[1].iov_len, 5);
}

static void an_unpopped_chain_is_popped_again(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = { buf(f, 8), 8 };

	fake_add(&f->d, 0, &b, 1, 0);
	assert_int_equal(virtqueue_pop(f->vq, &f->chain), 1);
	virtqueue_unpop(f->vq);
	assert_int_equal(virtqueue_pop(f->vq, &f->chain), 1);
	assert_int_equal(virtqueue_pop(f->vq, &f->chain), 0);
}

static void indexes_wrap_around(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = { buf(f, 8), 8 };
	uint32_t head, len;

	f->vq->state.next_avail = 0xfffe;
	f->vq->state.next_used = 0xfffe;
	f->d.queues[0].avail_idx = 0xfffe;
	f->d.queues[0].used_seen = 0xfffe;
	fake_set_avail_idx(&f->d, 0, 0xfffe);
	memset(fake_ptr(&f->d, f->d.queues[0].used + 2), 0xfe, 1);
	memset(fake_ptr(&f->d, f->d.queues[0].used + 3), 0xff, 1);
	for (uint32_t i = 0; i < 5; i++) {
		fake_add(&f->d, 0, &b, 0, 1);
		assert_int_equal(virtqueue_pop(f->vq, &f->chain), 1);
		virtqueue_push(f->vq, f->chain.head, i);
		assert_true(fake_get_used(&f->d, 0, &head, &len));
		assert_int_equal(head, i % 8);
		assert_int_equal(len, i);
	}
	assert_int_equal(f->vq->state.next_used, 3);
}

static void put_chains_show_only_when_published(void **state)
{
	struct fixture *f = *state;

	virtqueue_put(f->vq, 1, 10);
	virtqueue_put(f->vq, 2, 20);
	assert_int_equal(fake_used_idx(&f->d, 0), 0);
	virtqueue_publish(f->vq);
	assert_int_equal(fake_used_idx(&f->d, 0), 2);
}

/* --- notifications --- */

static void the_no_interrupt_flag_is_heeded(void **state)
{
	struct fixture *f = *state;
	uint16_t *flags = fake_ptr(&f->d, f->d.queues[0].avail);

	assert_false(virtqueue_needs_interrupt(f->vq));
	virtqueue_push(f->vq, 0, 0);
	*flags = 1;
	assert_false(virtqueue_needs_interrupt(f->vq));
	*flags = 0;
	assert_true(virtqueue_needs_interrupt(f->vq));
	assert_false(virtqueue_needs_interrupt(f->vq));
}

static void an_interrupt_comes_after_any_number_of_polled_pushes(void **state)
{
	struct fixture *f = *state;
	uint16_t *flags = fake_ptr(&f->d, f->d.queues[0].avail);

	*flags = 1;
	for (unsigned i = 0; i < 65535; i++) {
		virtqueue_push(f->vq, 0, 0);
		assert_false(virtqueue_needs_interrupt(f->vq));
	}
	*flags = 0;
	virtqueue_push(f->vq, 0, 0);
	assert_true(virtqueue_needs_interrupt(f->vq));
	assert_false(virtqueue_needs_interrupt(f->vq));
}

/* Linux parks used_event somewhere while it polls. */
static void a_used_event_far_away_stays_silent_for_ever(void **state)
{
	struct fixture *f = *state;
	uint16_t *used_event =
		fake_ptr(&f->d, f->d.queues[0].avail + 4 + 2 * 8);

	for (unsigned i = 0; i < 200000; i++) {
		*used_event = (uint16_t)(f->vq->state.next_used +
					 (i % 2 ? 20 : 65536 - 20));
		virtqueue_push(f->vq, 0, 0);
		assert_false(virtqueue_needs_interrupt(f->vq));
	}
	*used_event = f->vq->state.next_used;
	virtqueue_push(f->vq, 0, 0);
	assert_true(virtqueue_needs_interrupt(f->vq));
}

static void used_event_picks_the_push_that_interrupts(void **state)
{
	struct fixture *f = *state;
	uint16_t *used_event =
		fake_ptr(&f->d, f->d.queues[0].avail + 4 + 2 * 8);

	*used_event = 1;
	virtqueue_push(f->vq, 0, 0);
	assert_false(virtqueue_needs_interrupt(f->vq));
	virtqueue_push(f->vq, 0, 0);
	assert_true(virtqueue_needs_interrupt(f->vq));
	virtqueue_push(f->vq, 0, 0);
	assert_false(virtqueue_needs_interrupt(f->vq));
}

static void kicks_are_asked_for_by_flag_or_avail_event(void **state)
{
	struct fixture *f = *state;
	uint16_t *used_flags = fake_ptr(&f->d, f->d.queues[0].used);
	struct fake_buffer b = { buf(f, 8), 8 };

	virtqueue_kicks_disable(f->vq);
	assert_int_equal(*used_flags, 1);
	assert_false(virtqueue_kicks_enable(f->vq));
	assert_int_equal(*used_flags, 0);
	fake_add(&f->d, 0, &b, 1, 0);
	assert_true(virtqueue_kicks_enable(f->vq));
}

static void avail_event_follows_what_was_popped(void **state)
{
	struct fixture *f = *state;
	uint16_t *avail_event =
		fake_ptr(&f->d, f->d.queues[0].used + 4 + 8 * 8);
	struct fake_buffer b = { buf(f, 8), 8 };

	fake_add(&f->d, 0, &b, 1, 0);
	assert_int_equal(virtqueue_pop(f->vq, &f->chain), 1);
	assert_false(virtqueue_kicks_enable(f->vq));
	assert_int_equal(*avail_event, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_EVENT_IDX(name) \
	cmocka_unit_test_setup_teardown(name, setup_event_idx, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_empty_queue_pops_nothing),
		TEST(a_chain_comes_out_as_it_went_in),
		TEST(neighbours_of_one_direction_become_one_iovec),
		TEST(an_unpopped_chain_is_popped_again),
		TEST(indexes_wrap_around),
		TEST(put_chains_show_only_when_published),
		TEST(the_no_interrupt_flag_is_heeded),
		TEST(an_interrupt_comes_after_any_number_of_polled_pushes),
		TEST_EVENT_IDX(a_used_event_far_away_stays_silent_for_ever),
		TEST_EVENT_IDX(used_event_picks_the_push_that_interrupts),
		TEST(kicks_are_asked_for_by_flag_or_avail_event),
		TEST_EVENT_IDX(avail_event_follows_what_was_popped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
