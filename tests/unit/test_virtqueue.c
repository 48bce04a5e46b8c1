#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "devices/virtqueue.h"
#include "tests/fake_driver.h"
#include "tests/mock_device.h"

/* The queue itself, with the fake driver as a ring writer: no transport. */
struct fixture {
	struct fake_driver d;
	struct mock_device mock;
	struct virtqueue *vq;
	struct chain chain;
};

static int setup_with(void **state, uint64_t features)
{
	static struct fixture f;

	fake_init(&f.d);
	mock_init(&f.mock, &f.d.mem, f.d.loop);
	f.mock.drain = false;
	fake_attach(&f.d, &f.mock.dev);
	fake_start(&f.d, features, 8);
	f.vq = &f.mock.dev.queues[0];
	*state = &f;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, 1ULL << VIRTIO_RING_F_INDIRECT_DESC);
}

static int setup_event_idx(void **state)
{
	return setup_with(state, 1ULL << VIRTIO_RING_F_EVENT_IDX);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	virtio_device_destroy(&f->mock.dev);
	fake_fini(&f->d);
	return 0;
}

static uint64_t buf(struct fixture *f, size_t size)
{
	return fake_alloc(&f->d, size, 16);
}

/* What one descriptor chain, written by hand at index 0, is popped as. */
static int pop_head(struct fixture *f, uint16_t head)
{
	fake_make_available(&f->d, 0, head);
	return virtqueue_pop(f->vq, &f->chain);
}

static void broken_for_good(struct fixture *f)
{
	assert_int_equal(virtqueue_pop(f->vq, &f->chain), -EPROTO);
	fake_set_avail_idx(&f->d, 0, f->vq->state.next_avail);
	assert_int_equal(virtqueue_pop(f->vq, &f->chain), -EPROTO);
	assert_false(virtqueue_kicks_enable(f->vq));
}

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

static void zero_length_buffers_are_passed_over(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer buffers[] = { { buf(f, 8), 0 },
					 { UINT64_MAX, 0 },
					 { buf(f, 8), 8 } };

	fake_add(&f->d, 0, buffers, 2, 1);
	assert_int_equal(virtqueue_pop(f->vq, &f->chain), 1);
	assert_int_equal(f->chain.out_count, 0);
	assert_int_equal(f->chain.in_count, 1);
}

static void overlapping_buffers_are_the_drivers_business(void **state)
{
	struct fixture *f = *state;
	uint64_t a = buf(f, 100);
	struct fake_buffer buffers[] = { { a, 100 }, { a, 100 }, { a, 100 } };

	fake_add(&f->d, 0, buffers, 1, 2);
	assert_int_equal(virtqueue_pop(f->vq, &f->chain), 1);
	assert_int_equal(f->chain.out_count, 1);
	assert_int_equal(f->chain.in_count, 2);
}

static void a_loop_breaks_the_queue(void **state)
{
	struct fixture *f = *state;

	fake_desc(&f->d, f->d.queues[0].desc, 0, buf(f, 8), 8, FAKE_NEXT, 1);
	fake_desc(&f->d, f->d.queues[0].desc, 1, buf(f, 8), 0, FAKE_NEXT, 0);
	assert_int_equal(pop_head(f, 0), -EPROTO);
	broken_for_good(f);
}

static void a_head_outside_the_table_breaks_the_queue(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pop_head(f, 8), -EPROTO);
	broken_for_good(f);
}

static void a_next_outside_the_table_breaks_the_queue(void **state)
{
	struct fixture *f = *state;

	fake_desc(&f->d, f->d.queues[0].desc, 0, buf(f, 8), 8, FAKE_NEXT, 8);
	assert_int_equal(pop_head(f, 0), -EPROTO);
	broken_for_good(f);
}

static void wild_addresses_break_the_queue(void **state)
{
	static const struct fake_buffer wild[] = {
		{ 0, 1 },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX - 3, 8 },
		{ FAKE_RAM_BASE - 1, 2 },
		{ FAKE_RAM_BASE + FAKE_RAM_SIZE, 1 },
		{ FAKE_RAM_BASE + FAKE_RAM_SIZE - 1, 2 },
		{ FAKE_RAM_BASE, UINT32_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		void *fixture;
		struct fixture *f;

		setup(&fixture);
		f = fixture;
		fake_desc(&f->d, f->d.queues[0].desc, 0, wild[i].gpa,
			  wild[i].len, 0, 0);
		assert_int_equal(pop_head(f, 0), -EPROTO);
		broken_for_good(f);
		teardown(&fixture);
	}
}

static void an_index_jump_beyond_the_size_breaks_the_queue(void **state)
{
	struct fixture *f = *state;

	fake_set_avail_idx(&f->d, 0, 9);
	broken_for_good(f);
}

static void an_index_that_goes_back_breaks_the_queue(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = { buf(f, 8), 8 };

	fake_add(&f->d, 0, &b, 1, 0);
	assert_int_equal(virtqueue_pop(f->vq, &f->chain), 1);
	fake_set_avail_idx(&f->d, 0, 0);
	broken_for_good(f);
}

static void readable_after_writable_breaks_the_queue(void **state)
{
	struct fixture *f = *state;
	uint64_t desc = f->d.queues[0].desc;

	fake_desc(&f->d, desc, 0, buf(f, 8), 8, FAKE_NEXT | FAKE_WRITE, 1);
	fake_desc(&f->d, desc, 1, buf(f, 8), 8, 0, 0);
	assert_int_equal(pop_head(f, 0), -EPROTO);
	broken_for_good(f);
}

/* --- indirect descriptors --- */

static int pop_indirect(struct fixture *f, uint64_t table, uint32_t len,
			uint16_t flags)
{
	fake_desc(&f->d, f->d.queues[0].desc, 0, table, len,
		  FAKE_INDIRECT | flags, 1);
	return pop_head(f, 0);
}

static void an_indirect_table_is_walked(void **state)
{
	struct fixture *f = *state;
	uint64_t table = buf(f, 64);

	fake_desc(&f->d, table, 0, buf(f, 8), 8, FAKE_NEXT, 3);
	fake_desc(&f->d, table, 3, buf(f, 8), 9, FAKE_WRITE, 0);
	/* WRITE on the table itself means nothing (2.7.5.3.2) */
	assert_int_equal(pop_indirect(f, table, 64, FAKE_WRITE), 1);
	assert_int_equal(f->chain.out_count, 1);
	assert_int_equal(f->chain.in_count, 1);
	assert_int_equal(f->chain.iov[1].iov_len, 9);
}

static void an_indirect_table_may_end_a_direct_chain(void **state)
{
	struct fixture *f = *state;
	uint64_t table = buf(f, 16);

	fake_desc(&f->d, f->d.queues[0].desc, 0, buf(f, 8), 8, FAKE_NEXT, 1);
	fake_desc(&f->d, f->d.queues[0].desc, 1, table, 16, FAKE_INDIRECT, 0);
	fake_desc(&f->d, table, 0, buf(f, 8), 8, FAKE_WRITE, 0);
	assert_int_equal(pop_head(f, 0), 1);
	assert_int_equal(f->chain.out_count + f->chain.in_count, 2);
}

static void a_nested_indirect_table_breaks_the_queue(void **state)
{
	struct fixture *f = *state;
	uint64_t table = buf(f, 16);

	fake_desc(&f->d, table, 0, table, 16, FAKE_INDIRECT, 0);
	assert_int_equal(pop_indirect(f, table, 16, 0), -EPROTO);
	broken_for_good(f);
}

static void an_indirect_table_with_next_breaks_the_queue(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pop_indirect(f, buf(f, 16), 16, FAKE_NEXT), -EPROTO);
	broken_for_good(f);
}

static void an_indirect_table_of_odd_length_breaks_the_queue(void **state)
{
	static const uint32_t lengths[] = { 0, 1, 15, 17, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		void *fixture;

		setup(&fixture);
		assert_int_equal(pop_indirect(fixture, buf(fixture, 64),
					      lengths[i], 0),
				 -EPROTO);
		broken_for_good(fixture);
		teardown(&fixture);
	}
}

static void an_indirect_table_outside_memory_breaks_the_queue(void **state)
{
	struct fixture *f = *state;
	uint64_t end = FAKE_RAM_BASE + FAKE_RAM_SIZE;

	assert_int_equal(pop_indirect(f, end - 16, 32, 0), -EPROTO);
	broken_for_good(f);
}

static void an_indirect_loop_breaks_the_queue(void **state)
{
	struct fixture *f = *state;
	uint64_t table = buf(f, 16);

	fake_desc(&f->d, table, 0, buf(f, 8), 0, FAKE_NEXT, 0);
	assert_int_equal(pop_indirect(f, table, 16, 0), -EPROTO);
	broken_for_good(f);
}

/* --- where the rings lie --- */

static int start_at(struct fixture *f, uint64_t desc, uint64_t avail,
		    uint64_t used, uint16_t size)
{
	struct virtqueue vq;

	virtqueue_init(&vq, 16);
	vq.state.desc = desc;
	vq.state.avail = avail;
	vq.state.used = used;
	vq.state.size = size;
	return virtqueue_start(&vq, &f->d.mem, false);
}

static void rings_outside_memory_or_misaligned_do_not_start(void **state)
{
	struct fixture *f = *state;
	uint64_t ok = buf(f, 0x1000), end = FAKE_RAM_BASE + FAKE_RAM_SIZE;

	assert_int_equal(start_at(f, ok, ok, ok, 16), 0);
	assert_int_equal(start_at(f, ok + 8, ok, ok, 16), -EINVAL);
	assert_int_equal(start_at(f, ok, ok + 1, ok, 16), -EINVAL);
	assert_int_equal(start_at(f, ok, ok, ok + 2, 16), -EINVAL);
	assert_int_equal(start_at(f, end - 16 * 15, ok, ok, 16), -EINVAL);
	assert_int_equal(start_at(f, ok, end - 36, ok, 16), -EINVAL);
	assert_int_equal(start_at(f, ok, ok, end - 132, 16), -EINVAL);
	assert_int_equal(start_at(f, 0, ok, ok, 16), -EINVAL);
	assert_int_equal(start_at(f, UINT64_MAX - 15, ok, ok, 16), -EINVAL);
}

static void odd_queue_sizes_do_not_start(void **state)
{
	struct fixture *f = *state;
	uint64_t ok = buf(f, 0x1000);

	assert_int_equal(start_at(f, ok, ok, ok, 0), -EINVAL);
	assert_int_equal(start_at(f, ok, ok, ok, 3), -EINVAL);
	assert_int_equal(start_at(f, ok, ok, ok, 32), -EINVAL);
	assert_int_equal(start_at(f, ok, ok, ok, 0x8000), -EINVAL);
	assert_int_equal(start_at(f, ok, ok, ok, 1), 0);
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
		TEST(zero_length_buffers_are_passed_over),
		TEST(overlapping_buffers_are_the_drivers_business),
		TEST(a_loop_breaks_the_queue),
		TEST(a_head_outside_the_table_breaks_the_queue),
		TEST(a_next_outside_the_table_breaks_the_queue),
		cmocka_unit_test(wild_addresses_break_the_queue),
		TEST(an_index_jump_beyond_the_size_breaks_the_queue),
		TEST(an_index_that_goes_back_breaks_the_queue),
		TEST(readable_after_writable_breaks_the_queue),
		TEST(an_indirect_table_is_walked),
		TEST(an_indirect_table_may_end_a_direct_chain),
		TEST(a_nested_indirect_table_breaks_the_queue),
		TEST(an_indirect_table_with_next_breaks_the_queue),
		cmocka_unit_test(
			an_indirect_table_of_odd_length_breaks_the_queue),
		TEST(an_indirect_table_outside_memory_breaks_the_queue),
		TEST(an_indirect_loop_breaks_the_queue),
		TEST(rings_outside_memory_or_misaligned_do_not_start),
		TEST(odd_queue_sizes_do_not_start),
		TEST(the_no_interrupt_flag_is_heeded),
		TEST_EVENT_IDX(used_event_picks_the_push_that_interrupts),
		TEST(kicks_are_asked_for_by_flag_or_avail_event),
		TEST_EVENT_IDX(avail_event_follows_what_was_popped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
