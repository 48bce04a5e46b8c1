/* What broken or malicious drivers put into rings, and rings in odd places. */
#include "tests/unit/devices/virtio/virtqueue_fixture.h"

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

static int pop_long_table(struct fixture *f, unsigned count)
{
	uint64_t table = buf(f, 16 * (size_t)count);
	uint64_t data = buf(f, 16 * (size_t)count);

	for (unsigned i = 0; i < count; i++)
		fake_desc(&f->d, table, i, data + 16 * i, 8,
			  i + 1 < count ? FAKE_NEXT : 0, (uint16_t)(i + 1));
	return pop_indirect(f, table, 16 * count, 0);
}

static void an_indirect_table_may_be_longer_than_the_queue(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pop_long_table(f, CHAIN_IOV_MAX), 1);
	assert_int_equal(f->chain.out_count, CHAIN_IOV_MAX);
	assert_int_equal(pop_long_table(f, CHAIN_IOV_MAX + 1), -EPROTO);
	broken_for_good(f);
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
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
		TEST(an_indirect_table_may_be_longer_than_the_queue),
		TEST(an_indirect_table_may_end_a_direct_chain),
		TEST(a_nested_indirect_table_breaks_the_queue),
		TEST(an_indirect_table_with_next_breaks_the_queue),
		cmocka_unit_test(
			an_indirect_table_of_odd_length_breaks_the_queue),
		TEST(an_indirect_table_outside_memory_breaks_the_queue),
		TEST(an_indirect_loop_breaks_the_queue),
		TEST(rings_outside_memory_or_misaligned_do_not_start),
		TEST(odd_queue_sizes_do_not_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
