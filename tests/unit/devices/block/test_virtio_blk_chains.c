/* Framing of requests, and what broken or malicious drivers send. */
#include "tests/unit/devices/block/virtio_blk_fixture.h"

static void any_framing_of_header_data_and_status_works(void **state)
{
	struct fixture *f = *state;
	uint64_t more = fake_alloc(&f->d, 1024, 16);
	/* the header in three pieces, data and status in one */
	struct fake_buffer in[] = { { f->header, 3 },
				    { f->header + 3, 9 },
				    { f->header + 12, 4 },
				    { more, 513 } };
	/* header and data in one, the status after other bytes */
	struct fake_buffer out[] = { { more, 16 + 512 }, { f->status, 10 } };
	uint8_t back[512];
	uint32_t len, head;

	fake_start(&f->d, 0, 8);
	set_header(f, f->header, VIRTIO_BLK_T_IN, 9);
	fake_add(&f->d, 0, in, 3, 1);
	fake_kick(&f->d, 0);
	fake_run_loop(&f->d);
	assert_true(fake_get_used(&f->d, 0, &head, &len));
	assert_int_equal(len, 513);
	assert_int_equal(((uint8_t *)fake_ptr(&f->d, more))[511], 9);
	assert_int_equal(((uint8_t *)fake_ptr(&f->d, more))[512], 0);

	memset(fake_ptr(&f->d, more), 0xab, 16 + 512);
	set_header(f, more, VIRTIO_BLK_T_OUT, 3);
	memset(fake_ptr(&f->d, f->status), 0xff, 10);
	fake_add(&f->d, 0, out, 1, 1);
	fake_kick(&f->d, 0);
	fake_run_loop(&f->d);
	assert_true(fake_get_used(&f->d, 0, &head, &len));
	assert_int_equal(((uint8_t *)fake_ptr(&f->d, f->status))[9], 0);
	assert_int_equal(pread(f->disk.fd, back, 512, 3 * 512), 512);
	assert_int_equal(back[511], 0xab);
}

static void a_chain_without_a_status_byte_needs_a_reset(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = { f->header, 16 };

	fake_start(&f->d, 0, 8);
	set_header(f, f->header, VIRTIO_BLK_T_FLUSH, 0);
	fake_add(&f->d, 0, &b, 1, 0);
	fake_kick(&f->d, 0);
	assert_true(fake_needs_reset(&f->d));
	assert_int_equal(fake_used_idx(&f->d, 0), 1);
	fake_start(&f->d, 0, 8);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
}

static void a_chain_without_a_whole_header_fails(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b[] = { { f->header, 15 }, { f->status, 1 } };
	uint32_t len;

	fake_start(&f->d, 0, 8);
	fake_add(&f->d, 0, b, 1, 1);
	fake_kick(&f->d, 0);
	assert_int_equal(finish(f, &len), VIRTIO_BLK_S_IOERR);
	fake_add(&f->d, 0, b + 1, 0, 1);
	fake_kick(&f->d, 0);
	assert_int_equal(finish(f, &len), VIRTIO_BLK_S_IOERR);
}

static void a_bad_ring_needs_a_reset_and_keeps_what_is_under_way(void **state)
{
	struct fixture *f = *state;
	uint32_t len;

	fake_start(&f->d, 0, 8);
	sync_engine_hold = true;
	submit(f, VIRTIO_BLK_T_IN, 5, 512);
	fake_set_avail_idx(&f->d, 0, 0x2000);
	fake_kick(&f->d, 0);
	assert_true(fake_needs_reset(&f->d));
	sync_engine_hold = false;
	assert_int_equal(finish(f, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(len, 513);
}

static void memory_is_left_alone_after(struct fixture *f, uint64_t reg)
{
	uint8_t *data = fake_ptr(&f->d, f->data);

	fake_start(&f->d, 0, 8);
	sync_engine_hold = true;
	data[0] = 0;
	submit(f, VIRTIO_BLK_T_IN, 5, 512);
	assert_int_equal(data[0], 0);
	fake_write(&f->d, reg, 0);
	/* nothing writes to guest memory from here on */
	memset(f->d.ram, 0x77, FAKE_RAM_SIZE);
	sync_engine_hold = false;
	fake_run_loop(&f->d);
	for (size_t i = 0; i < FAKE_RAM_SIZE; i++)
		assert_int_equal(f->d.ram[i], 0x77);
	fake_start(&f->d, 0, 8);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 5, 512), VIRTIO_BLK_S_OK);
}

static void a_reset_in_mid_flight_waits_for_the_disk(void **state)
{
	memory_is_left_alone_after(*state, VIRTIO_MMIO_STATUS);
}

static void a_queue_that_stops_in_mid_flight_waits_for_the_disk(void **state)
{
	memory_is_left_alone_after(*state, VIRTIO_MMIO_QUEUE_READY);
}

static void a_head_given_again_and_again_cannot_exhaust_the_device(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b[] = { { f->header, 16 }, { f->status, 1 } };

	fake_start(&f->d, 0, 128);
	sync_engine_hold = true;
	set_header(f, f->header, VIRTIO_BLK_T_FLUSH, 0);
	fake_add(&f->d, 0, b, 1, 1);
	for (int i = 0; i < 127; i++)
		fake_make_available(&f->d, 0, 0);
	fake_kick(&f->d, 0);
	assert_false(fake_needs_reset(&f->d));
	fake_kick(&f->d, 0); /* a full queue under way is fine */
	assert_false(fake_needs_reset(&f->d));
	assert_int_equal(fake_used_idx(&f->d, 0), 0);
	/* what is more than that waits in the ring */
	for (int i = 0; i < 128; i++)
		fake_make_available(&f->d, 0, 0);
	fake_kick(&f->d, 0);
	assert_false(fake_needs_reset(&f->d));
	assert_int_equal(fake_used_idx(&f->d, 0), 0);
	sync_engine_hold = false;
	for (int i = 0; i < 4; i++)
		fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, 0), 256);
	/* and a ring has no room for more */
	sync_engine_hold = true;
	for (int i = 0; i < 129; i++)
		fake_make_available(&f->d, 0, 0);
	fake_kick(&f->d, 0);
	assert_true(fake_needs_reset(&f->d));
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
}

/* The whole disk in as many pieces as a request may have. */
#define PIECES (CHAIN_IOV_MAX - 2)
#define PIECE (DISK_SIZE / PIECES)

/* Makes a read of all that available, each piece in a KiB of its own; returns
 * where the first is. */
static uint64_t submit_longest(struct fixture *f)
{
	uint64_t table = fake_alloc(&f->d, CHAIN_IOV_MAX * 16, 16);
	uint64_t pages = fake_alloc(&f->d, PIECES * 1024, 512);
	uint16_t i;

	set_header(f, f->header, VIRTIO_BLK_T_IN, 0);
	fake_desc(&f->d, table, 0, f->header, 16, FAKE_NEXT, 1);
	for (i = 1; i <= PIECES; i++)
		fake_desc(&f->d, table, i, pages + 1024 * (i - 1), PIECE,
			  FAKE_NEXT | FAKE_WRITE, (uint16_t)(i + 1));
	fake_desc(&f->d, table, i, f->status, 1, FAKE_WRITE, 0);
	fake_desc(&f->d, f->d.queues[0].desc, 0, table, CHAIN_IOV_MAX * 16,
		  FAKE_INDIRECT, 0);
	fake_make_available(&f->d, 0, 0);
	return pages;
}

static void an_indirect_request_of_the_longest_kind_works(void **state)
{
	struct fixture *f = *state;
	uint32_t head, len;
	uint64_t pages;
	uint8_t *piece;

	assert_int_equal(PIECE * PIECES, DISK_SIZE);
	fake_start(&f->d, INDIRECT, 128);
	pages = submit_longest(f);
	fake_kick(&f->d, 0);
	fake_run_loop(&f->d);
	assert_true(fake_get_used(&f->d, 0, &head, &len));
	assert_int_equal(len, DISK_SIZE + 1);
	for (unsigned i = 0; i < PIECES; i++) {
		piece = fake_ptr(&f->d, pages + 1024 * i);
		assert_int_equal(piece[0], PIECE * i / 512);
		assert_int_equal(piece[PIECE - 1], PIECE * i / 512);
	}
}

static void one_kick_moves_a_bounded_amount(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, INDIRECT, 128);
	submit_longest(f);
	for (int i = 1; i < 128; i++)
		fake_make_available(&f->d, 0, 0);
	fake_kick(&f->d, 0);
	assert_in_range(fake_used_idx(&f->d, 0), 0, (4 << 20) / DISK_SIZE);
	for (int i = 0; i < 5000 && fake_used_idx(&f->d, 0) < 128; i++) {
		fake_run_loop(&f->d);
		usleep(i < 10 ? 0 : 1000);
	}
	assert_int_equal(fake_used_idx(&f->d, 0), 128);
}

int main(void)
{
#define TEST_ON(name, setup) \
	cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST(name) TEST_ON(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(any_framing_of_header_data_and_status_works),
		TEST(a_chain_without_a_status_byte_needs_a_reset),
		TEST(a_chain_without_a_whole_header_fails),
		TEST(a_bad_ring_needs_a_reset_and_keeps_what_is_under_way),
		TEST(a_reset_in_mid_flight_waits_for_the_disk),
		TEST(a_queue_that_stops_in_mid_flight_waits_for_the_disk),
		TEST(a_head_given_again_and_again_cannot_exhaust_the_device),
		TEST(an_indirect_request_of_the_longest_kind_works),
		TEST_ON(one_kick_moves_a_bounded_amount, setup_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
