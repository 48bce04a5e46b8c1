/* Discard and write zeroes. */
#include "tests/unit/devices/block/virtio_blk_fixture.h"

#include <sys/stat.h>

#define FLUSH (1ULL << VIRTIO_BLK_F_FLUSH)
#define DISCARD (1ULL << VIRTIO_BLK_F_DISCARD)
#define ZEROES (1ULL << VIRTIO_BLK_F_WRITE_ZEROES)
#define ALL (FLUSH | DISCARD | ZEROES)
#define UNMAP VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP

struct range {
	uint64_t sector;
	uint32_t sectors, flags;
};

static void put_range(struct fixture *f, unsigned index, struct range range)
{
	uint8_t *to = (uint8_t *)fake_ptr(&f->d, f->data) + 16 * index;
	le64_t sector = le64(range.sector);
	le32_t rest[2] = { le32(range.sectors), le32(range.flags) };

	memcpy(to, &sector, 8);
	memcpy(to + 8, rest, 8);
}

static void submit_bytes(struct fixture *f, uint32_t type, uint32_t len)
{
	struct fake_buffer b[] = { { f->header, 16 },
				   { f->data, len },
				   { f->status, 1 } };

	set_header(f, f->header, type, 0);
	*(uint8_t *)fake_ptr(&f->d, f->status) = 0xff;
	fake_add(&f->d, 0, b, 2, 1);
	fake_kick(&f->d, 0);
}

static uint8_t command_bytes(struct fixture *f, uint32_t type, uint32_t len)
{
	uint32_t used;
	uint8_t status;

	submit_bytes(f, type, len);
	status = finish(f, &used);
	assert_int_equal(used, 1);
	return status;
}

static uint8_t command(struct fixture *f, uint32_t type, uint64_t sector,
		       uint32_t sectors, uint32_t flags)
{
	put_range(f, 0, (struct range){ sector, sectors, flags });
	return command_bytes(f, type, 16);
}

/* Whether these are zeroes, or what start() put there. */
static void expect_zeroes(struct fixture *f, unsigned first, unsigned count,
			  bool zeroes)
{
	uint8_t sector[512];

	for (unsigned i = first; i < first + count; i++) {
		assert_int_equal(pread(f->disk.fd, sector, 512, 512 * i), 512);
		assert_int_equal(sector[0], zeroes ? 0 : i);
		assert_int_equal(sector[511], zeroes ? 0 : i);
	}
}

static uint64_t blocks(struct fixture *f)
{
	struct stat st;

	assert_int_equal(fstat(f->disk.fd, &st), 0);
	assert_int_equal(st.st_size, DISK_SIZE);
	return (uint64_t)st.st_blocks;
}

static void limits_stand_in_config_space(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_config(&f->d, 36, 4), (128 << 20) / 512);
	assert_int_equal(fake_config(&f->d, 40, 4), 16);
	assert_int_equal(fake_config(&f->d, 44, 4), 8);
	assert_int_equal(fake_config(&f->d, 48, 4), (128 << 20) / 512);
	assert_int_equal(fake_config(&f->d, 52, 4), 16);
	assert_int_equal(fake_config(&f->d, 56, 1), 1);
	assert_true(fake_negotiate(&f->d, ALL));
}

static void a_readonly_disk_offers_neither(void **state)
{
	struct fixture *f = *state;

	assert_false(fake_negotiate(&f->d, DISCARD));
	assert_false(fake_negotiate(&f->d, ZEROES));
	assert_int_equal(fake_config(&f->d, 36, 4), 0);
	assert_int_equal(fake_config(&f->d, 48, 4), 0);
	fake_start(&f->d, FLUSH, 8);
	assert_int_equal(command(f, VIRTIO_BLK_T_DISCARD, 0, 1, 0),
			 VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(command(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0),
			 VIRTIO_BLK_S_UNSUPP);
	expect_zeroes(f, 1, 1, false);
}

static void a_driver_that_did_not_ask_has_neither(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, DISCARD, 8);
	assert_int_equal(command(f, VIRTIO_BLK_T_WRITE_ZEROES, 1, 1, 0),
			 VIRTIO_BLK_S_UNSUPP);
	fake_start(&f->d, ZEROES, 8);
	assert_int_equal(command(f, VIRTIO_BLK_T_DISCARD, 1, 1, 0),
			 VIRTIO_BLK_S_UNSUPP);
	expect_zeroes(f, 1, 1, false);
}

static void discard_gives_space_back(void **state)
{
	struct fixture *f = *state;
	uint64_t before = blocks(f);

	fake_start(&f->d, ALL, 8);
	assert_int_equal(command(f, VIRTIO_BLK_T_DISCARD, 32, 64, 0),
			 VIRTIO_BLK_S_OK);
	expect_zeroes(f, 1, 31, false);
	expect_zeroes(f, 32, 64, true);
	expect_zeroes(f, 96, 32, false);
	assert_true(blocks(f) < before);
}

static void write_zeroes_gives_space_back_only_when_it_may(void **state)
{
	struct fixture *f = *state;
	uint64_t before = blocks(f);

	fake_start(&f->d, ALL, 8);
	assert_int_equal(command(f, VIRTIO_BLK_T_WRITE_ZEROES, 32, 64, 0),
			 VIRTIO_BLK_S_OK);
	expect_zeroes(f, 31, 1, false);
	expect_zeroes(f, 32, 64, true);
	expect_zeroes(f, 96, 1, false);
	assert_true(blocks(f) >= before);
	assert_int_equal(command(f, VIRTIO_BLK_T_WRITE_ZEROES, 32, 64, UNMAP),
			 VIRTIO_BLK_S_OK);
	expect_zeroes(f, 32, 64, true);
	assert_true(blocks(f) < before);
	/* what is no whole block of the host's becomes zeroes, too */
	assert_int_equal(command(f, VIRTIO_BLK_T_WRITE_ZEROES, 101, 3, UNMAP),
			 VIRTIO_BLK_S_OK);
	expect_zeroes(f, 100, 1, false);
	expect_zeroes(f, 101, 3, true);
	expect_zeroes(f, 104, 1, false);
}

static void all_ranges_of_a_command_are_done(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, ALL, 8);
	for (unsigned i = 0; i < 16; i++)
		put_range(f, i, (struct range){ 1 + 4 * i, i % 3, 0 });
	assert_int_equal(command_bytes(f, VIRTIO_BLK_T_WRITE_ZEROES, 16 * 16),
			 VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < 16; i++) {
		expect_zeroes(f, 1 + 4 * i, i % 3, true);
		expect_zeroes(f, 1 + 4 * i + i % 3, 4 - i % 3, false);
	}
	/* framing is the driver's choice */
	put_range(f, 0, (struct range){ 100, 1, 0 });
	put_range(f, 1, (struct range){ 110, 1, 0 });
	set_header(f, f->header, VIRTIO_BLK_T_DISCARD, 0);
	fake_add(&f->d, 0,
		 (struct fake_buffer[]){ { f->header, 16 },
					 { f->data, 7 },
					 { f->data + 7, 25 },
					 { f->status, 1 } },
		 3, 1);
	fake_kick(&f->d, 0);
	assert_int_equal(finish(f, &(uint32_t){ 0 }), VIRTIO_BLK_S_OK);
	expect_zeroes(f, 100, 1, true);
	expect_zeroes(f, 110, 1, true);
}

static void a_change_is_stable_without_a_flush_command(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, DISCARD | ZEROES, 8);
	assert_int_equal(command(f, VIRTIO_BLK_T_DISCARD, 1, 1, 0),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(sync_engine_flushes, 1);
	put_range(f, 1, (struct range){ 8, 1, 0 });
	put_range(f, 0, (struct range){ 9, 1, 0 });
	assert_int_equal(command_bytes(f, VIRTIO_BLK_T_WRITE_ZEROES, 32),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(sync_engine_flushes, 2);
}

/* --- files that cannot --- */

static void a_discard_that_the_file_cannot_do_is_tried_once(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, ALL, 8);
	sync_engine_fallocate_error = EOPNOTSUPP;
	put_range(f, 0, (struct range){ 1, 1, 0 });
	put_range(f, 1, (struct range){ 9, 1, 0 });
	assert_int_equal(command_bytes(f, VIRTIO_BLK_T_DISCARD, 32),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(sync_engine_fallocates, 1);
	assert_int_equal(command(f, VIRTIO_BLK_T_DISCARD, 1, 1, 0),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(sync_engine_fallocates, 1);
	expect_zeroes(f, 1, 10, false);
}

static void zeroes_are_written_where_the_file_cannot_do_better(void **state)
{
	struct fixture *f = *state;
	uint64_t before = blocks(f);

	fake_start(&f->d, ALL, 8);
	sync_engine_fallocate_error = EOPNOTSUPP;
	sync_engine_short = 700;
	assert_int_equal(command(f, VIRTIO_BLK_T_WRITE_ZEROES, 3, 50, UNMAP),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(sync_engine_fallocates, 2);
	put_range(f, 0, (struct range){ 60, 2, 0 });
	put_range(f, 1, (struct range){ 64, 2, UNMAP });
	assert_int_equal(command_bytes(f, VIRTIO_BLK_T_WRITE_ZEROES, 32),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(sync_engine_fallocates, 2);
	expect_zeroes(f, 2, 1, false);
	expect_zeroes(f, 3, 50, true);
	expect_zeroes(f, 53, 7, false);
	expect_zeroes(f, 60, 2, true);
	expect_zeroes(f, 62, 2, false);
	expect_zeroes(f, 64, 2, true);
	expect_zeroes(f, 66, 62, false);
	assert_true(blocks(f) >= before);
}

static void a_range_that_does_not_fit_says_nothing_of_the_next(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, ALL, 8);
	sync_engine_fallocate_error = EINVAL;
	assert_int_equal(command(f, VIRTIO_BLK_T_DISCARD, 1, 1, 0),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(command(f, VIRTIO_BLK_T_WRITE_ZEROES, 8, 1, UNMAP),
			 VIRTIO_BLK_S_OK);
	expect_zeroes(f, 1, 7, false);
	expect_zeroes(f, 8, 1, true);
	sync_engine_fallocate_error = 0;
	assert_int_equal(command(f, VIRTIO_BLK_T_DISCARD, 1, 1, 0),
			 VIRTIO_BLK_S_OK);
	expect_zeroes(f, 1, 1, true);
}

static void a_full_host_is_an_error(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, ALL, 8);
	sync_engine_fallocate_error = ENOSPC;
	assert_int_equal(command(f, VIRTIO_BLK_T_DISCARD, 1, 1, 0),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(command(f, VIRTIO_BLK_T_WRITE_ZEROES, 1, 1, UNMAP),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(command(f, VIRTIO_BLK_T_WRITE_ZEROES, 1, 1, 0),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(sync_engine_fallocates, 3);
	expect_zeroes(f, 1, 1, false);
}

/* --- hostile drivers --- */

static void bad_ranges_have_no_effect(void **state)
{
	static const struct {
		struct range range;
		uint8_t discard, zeroes; /* status */
	} bad[] = {
		{ { SECTORS, 1, 0 }, 1, 1 },
		{ { SECTORS - 1, 2, 0 }, 1, 1 },
		{ { SECTORS + 1, 0, 0 }, 1, 1 },
		{ { 0, SECTORS + 1, 0 }, 1, 1 },
		{ { 0, UINT32_MAX, 0 }, 1, 1 },
		{ { 1, UINT32_MAX, 0 }, 1, 1 },
		{ { UINT64_MAX, 1, 0 }, 1, 1 },
		{ { UINT64_MAX, 2, 0 }, 1, 1 },
		{ { UINT64_MAX - UINT32_MAX + 1, UINT32_MAX, 0 }, 1, 1 },
		{ { UINT64_MAX / 512 + 1, 8, 0 }, 1, 1 },
		{ { 1ULL << 55, 1, 0 }, 1, 1 },
		{ { 1, 1, 2 }, 2, 2 },
		{ { 1, 1, 0x80000000 }, 2, 2 },
		{ { 1, 1, UINT32_MAX }, 2, 2 },
		{ { UINT64_MAX, UINT32_MAX, 4 }, 2, 2 },
		{ { 1, 1, UNMAP }, 2, 0 },
	};
	struct fixture *f = *state;

	fake_start(&f->d, ALL, 8);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		/* also as the last of two */
		for (unsigned n = 0; n < 2; n++) {
			put_range(f, 0, (struct range){ 20, 1, 0 });
			put_range(f, n, bad[i].range);
			assert_int_equal(command_bytes(f, VIRTIO_BLK_T_DISCARD,
						       16 * n + 16),
					 bad[i].discard);
			assert_int_equal(sync_engine_fallocates, 0);
			if (bad[i].zeroes)
				assert_int_equal(
					command_bytes(f,
						      VIRTIO_BLK_T_WRITE_ZEROES,
						      16 * n + 16),
					bad[i].zeroes);
		}
	}
	expect_zeroes(f, 1, SECTORS - 1, false);
}

static void a_payload_of_no_whole_ranges_fails(void **state)
{
	static const uint32_t lengths[] = { 0, 1, 15, 17, 31, 16 * 17, 8192 };
	struct fixture *f = *state;

	fake_start(&f->d, ALL, 8);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		assert_int_equal(command_bytes(f, VIRTIO_BLK_T_DISCARD,
					       lengths[i]),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(command_bytes(f, VIRTIO_BLK_T_WRITE_ZEROES,
					       lengths[i]),
				 VIRTIO_BLK_S_IOERR);
	}
	/* ranges where the device may write are none */
	put_range(f, 0, (struct range){ 1, 1, 0 });
	submit(f, VIRTIO_BLK_T_DISCARD, 0, 16);
	assert_int_equal(finish(f, &(uint32_t){ 0 }), VIRTIO_BLK_S_IOERR);
	assert_int_equal(sync_engine_fallocates, 0);
	expect_zeroes(f, 1, SECTORS - 1, false);
}

static void blocks_of_a_direct_disk_stay_whole(void **state)
{
	static const struct range bad[] = {
		{ 1, 8, 0 }, { 8, 1, 0 }, { 8, 7, 0 }, { 12, 8, 0 }
	};
	struct fixture *f = *state;

	assert_int_equal(fake_config(&f->d, 20, 4), 4096);
	assert_int_equal(fake_config(&f->d, 44, 4), 8);
	fake_start(&f->d, ALL, 8);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_range(f, 0, bad[i]);
		assert_int_equal(command_bytes(f, VIRTIO_BLK_T_DISCARD, 16),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(command_bytes(f, VIRTIO_BLK_T_WRITE_ZEROES,
					       16),
				 VIRTIO_BLK_S_IOERR);
	}
	expect_zeroes(f, 1, SECTORS - 1, false);
	sync_engine_fallocate_error = EOPNOTSUPP;
	assert_int_equal(command(f, VIRTIO_BLK_T_WRITE_ZEROES, 8, 16, 0),
			 VIRTIO_BLK_S_OK);
	expect_zeroes(f, 7, 1, false);
	expect_zeroes(f, 8, 16, true);
	expect_zeroes(f, 24, 1, false);
}

static void a_reset_does_not_wait_for_all_ranges(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, ALL, 8);
	sync_engine_hold = true;
	for (unsigned i = 0; i < 16; i++)
		put_range(f, i, (struct range){ 1 + i, 1, 0 });
	submit_bytes(f, VIRTIO_BLK_T_DISCARD, 16 * 16);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(sync_engine_fallocates, 1);
	sync_engine_hold = false;
	fake_run_loop(&f->d);
	expect_zeroes(f, 1, 1, true);
	expect_zeroes(f, 2, SECTORS - 2, false);
	/* ranges that change under way change nothing */
	fake_start(&f->d, ALL, 8);
	sync_engine_hold = true;
	put_range(f, 0, (struct range){ 5, 1, 0 });
	put_range(f, 1, (struct range){ 7, 1, 0 });
	submit_bytes(f, VIRTIO_BLK_T_DISCARD, 32);
	put_range(f, 1, (struct range){ SECTORS, UINT32_MAX, UINT32_MAX });
	sync_engine_hold = false;
	assert_int_equal(finish(f, &(uint32_t){ 0 }), VIRTIO_BLK_S_OK);
	expect_zeroes(f, 7, 1, true);
	expect_zeroes(f, 8, SECTORS - 8, false);
}

int main(void)
{
#define TEST_ON(name, setup) \
	cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST(name) TEST_ON(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(limits_stand_in_config_space),
		TEST_ON(a_readonly_disk_offers_neither, setup_readonly),
		TEST(a_driver_that_did_not_ask_has_neither),
		TEST(discard_gives_space_back),
		TEST_ON(discard_gives_space_back, setup_real),
		TEST(write_zeroes_gives_space_back_only_when_it_may),
		TEST_ON(write_zeroes_gives_space_back_only_when_it_may,
			setup_real),
		TEST(all_ranges_of_a_command_are_done),
		TEST_ON(all_ranges_of_a_command_are_done, setup_real),
		TEST(a_change_is_stable_without_a_flush_command),
		TEST(a_discard_that_the_file_cannot_do_is_tried_once),
		TEST(zeroes_are_written_where_the_file_cannot_do_better),
		TEST(a_range_that_does_not_fit_says_nothing_of_the_next),
		TEST(a_full_host_is_an_error),
		TEST(bad_ranges_have_no_effect),
		TEST(a_payload_of_no_whole_ranges_fails),
		TEST_ON(blocks_of_a_direct_disk_stay_whole, setup_direct_4k),
		TEST(a_reset_does_not_wait_for_all_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
