#include "tests/unit/devices/block/virtio_blk_fixture.h"

static void config_space_tells_capacity_and_limits(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_config(&f->d, 0, 8), SECTORS);
	assert_int_equal(fake_config(&f->d, 12, 4), CHAIN_IOV_MAX - 2);
	assert_int_equal(fake_config(&f->d, 20, 4), 512);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_QUEUE_NUM_MAX), 128);
}

static void config_space_tells_what_the_host_likes(void **state)
{
	struct fixture *f = *state;
	uint32_t block = f->disk.block_size;

	assert_true(fake_negotiate(&f->d, 1ULL << VIRTIO_BLK_F_TOPOLOGY));
	assert_int_equal(block << fake_config(&f->d, 24, 1), 4096);
	assert_int_equal(fake_config(&f->d, 25, 1), block > 1024 ? 0 : 2);
	assert_int_equal(fake_config(&f->d, 26, 2), 8192 / block);
	assert_int_equal(fake_config(&f->d, 28, 4), (1 << 20) / block);
}

static void reads_and_writes_reach_the_disk(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = fake_ptr(&f->d, f->data), back[1024];

	fake_start(&f->d, 0, 8);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 5, 1024), VIRTIO_BLK_S_OK);
	assert_int_equal(data[0], 5);
	assert_int_equal(data[1023], 6);
	memset(data, 0xcc, 1024);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 7, 1024),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(pread(f->disk.fd, back, 1024, 7 * 512), 1024);
	assert_memory_equal(back, data, 1024);
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
}

static void writes_are_stable_without_a_flush_command(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 7, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(sync_engine_flushes, 1);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 7, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(sync_engine_flushes, 1);
	/* a write that failed has nothing to flush */
	assert_int_equal(ftruncate(f->disk.fd, 0), 0);
	assert_int_equal(fcntl(f->disk.fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 7, 512),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(sync_engine_flushes, 1);
}

static void writes_with_a_flush_command_leave_it_to_the_driver(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 1ULL << VIRTIO_BLK_F_FLUSH, 8);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 7, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(sync_engine_flushes, 0);
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(sync_engine_flushes, 1);
}

static int setup_unsafe(void **state)
{
	fixture_unsafe = true;
	return setup(state);
}

static int teardown_unsafe(void **state)
{
	fixture_unsafe = false;
	return teardown(state);
}

static void an_unsafe_disk_flushes_nothing(void **state)
{
	struct fixture *f = *state;
	uint32_t len;

	fake_start(&f->d, 1ULL << VIRTIO_BLK_F_FLUSH, 8);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 7, 512), VIRTIO_BLK_S_OK);
	/* not even held up by what is under way */
	sync_engine_hold = true;
	submit(f, VIRTIO_BLK_T_FLUSH, 0, 0);
	assert_int_equal(fake_used_idx(&f->d, 0), 2);
	assert_int_equal(finish(f, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(len, 1);
	sync_engine_hold = false;
	fake_start(&f->d, 0, 8);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 7, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(sync_engine_flushes, 0);
}

static void short_transfers_go_on(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = fake_ptr(&f->d, f->data);

	fake_start(&f->d, 0, 8);
	sync_engine_short = 100;
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 5, 4096), VIRTIO_BLK_S_OK);
	for (int i = 0; i < 4096; i++)
		assert_int_equal(data[i], 5 + i / 512);
}

static void get_id_gives_20_bytes(void **state)
{
	struct fixture *f = *state;
	uint32_t len;

	fake_start(&f->d, 0, 8);
	submit(f, VIRTIO_BLK_T_GET_ID, 0, 20);
	assert_int_equal(finish(f, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(len, 21);
	assert_string_equal(fake_ptr(&f->d, f->data), "vda-serial");
	submit(f, VIRTIO_BLK_T_GET_ID, 0, 4);
	assert_int_equal(finish(f, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(len, 5);
}

static void unknown_types_are_unsupported(void **state)
{
	static const uint32_t types[] = { 2,  3,  5,	      11,
					  13, 14, 0x80000000, UINT32_MAX };
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		assert_int_equal(request(f, types[i], 0, 512),
				 VIRTIO_BLK_S_UNSUPP);
}

static void requests_outside_the_disk_fail(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
	} bad[] = {
		{ SECTORS, 512 },    { SECTORS - 1, 1024 },
		{ UINT64_MAX, 512 }, { UINT64_MAX / 512, 512 },
		{ 1ULL << 55, 512 }, { 0, 511 },
		{ 0, 513 },	     { 0, 1 },
	};
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(request(f, VIRTIO_BLK_T_IN, bad[i].sector,
					 bad[i].len),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(f, VIRTIO_BLK_T_OUT, bad[i].sector,
					 bad[i].len),
				 VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, SECTORS, 0),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, SECTORS - 1, 512),
			 VIRTIO_BLK_S_OK);
}

static void a_readonly_disk_refuses_writes(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 1ULL << VIRTIO_BLK_F_RO, 8);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, 512),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
}

static void a_shrunken_disk_gives_an_error(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	assert_int_equal(ftruncate(f->disk.fd, 512), 0);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 1024),
			 VIRTIO_BLK_S_IOERR);
}

static struct block_engine *
no_engine(const struct block_engine_options *options, struct error *err)
{
	(void)options;
	error_set(err, ERROR_IO, 0, "none today");
	return NULL;
}

static void without_an_engine_there_is_no_device(void **state)
{
	struct fixture *f = *state;
	const struct virtio_blk_options options = {
		.disk = &f->disk,
		.queues = 1,
		.limits = { .ops = { .rate = 1 } },
		.engine_create = no_engine,
	};
	int next = dup(f->disk.fd);
	struct error err;

	close(next);
	assert_null(virtio_blk_create(&options, &f->d.mem, f->d.loop, &err));
	assert_string_equal(err.text, "none today");
	assert_int_equal(err.class, ERROR_IO);
	/* nor anything left open */
	assert_int_equal(dup(f->disk.fd), next);
	close(next);
}

/* --- framing and hostile drivers --- */

static void a_batch_interrupts_once(void **state)
{
	struct fixture *f = *state;
	uint32_t head, len;
	unsigned used = 0;

	fake_start(&f->d, 0, 128);
	for (int i = 0; i < 40; i++) {
		struct fake_buffer b[] = { { f->header, 16 },
					   { f->data, 512 },
					   { f->status, 1 } };

		set_header(f, f->header, VIRTIO_BLK_T_IN, 1);
		fake_add(&f->d, 0, b, 1, 2);
	}
	fake_kick(&f->d, 0);
	fake_run_loop(&f->d);
	while (fake_get_used(&f->d, 0, &head, &len))
		used++;
	assert_int_equal(used, 40);
	assert_int_equal(fake_interrupts(&f->d), 1);
}

/* Without a word of the engine, where the host can do that: user-mode
 * emulation, for one, cannot. */
static void a_batch_of_cached_reads_interrupts_once(void **state)
{
	struct fixture *f = *state;
	uint8_t sector[512];
	struct iovec iov = { sector, sizeof(sector) };

	if (preadv2(f->disk.fd, &iov, 1, 0, RWF_NOWAIT) < 0)
		skip();
	a_batch_interrupts_once(state);
}

/* --- O_DIRECT --- */

static void misaligned_buffers_of_a_direct_disk_are_bounced(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b[] = { { f->header, 16 },
				   { f->data + 1, 1024 },
				   { f->status, 1 } };
	uint8_t *data = fake_ptr(&f->d, f->data);
	uint32_t len;

	fake_start(&f->d, 0, 8);
	set_header(f, f->header, VIRTIO_BLK_T_IN, 20);
	fake_add(&f->d, 0, b, 1, 2);
	fake_kick(&f->d, 0);
	assert_int_equal(finish(f, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(len, 1025);
	assert_int_equal(data[0], 0);
	assert_int_equal(data[1], 20);
	assert_int_equal(data[1024], 21);
	/* a reset with one under way frees the bounce buffer */
	sync_engine_hold = true;
	fake_add(&f->d, 0, b, 1, 2);
	fake_kick(&f->d, 0);
}

int main(void)
{
#define TEST_ON(name, setup) \
	cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST(name) TEST_ON(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(config_space_tells_capacity_and_limits),
		TEST(config_space_tells_what_the_host_likes),
		TEST_ON(config_space_tells_what_the_host_likes,
			setup_direct_4k),
		TEST(reads_and_writes_reach_the_disk),
		TEST_ON(reads_and_writes_reach_the_disk, setup_real),
		TEST_ON(reads_and_writes_reach_the_disk, setup_direct),
		TEST(writes_are_stable_without_a_flush_command),
		TEST(writes_with_a_flush_command_leave_it_to_the_driver),
		cmocka_unit_test_setup_teardown(an_unsafe_disk_flushes_nothing,
						setup_unsafe, teardown_unsafe),
		TEST(short_transfers_go_on),
		TEST(get_id_gives_20_bytes),
		TEST(unknown_types_are_unsupported),
		TEST(requests_outside_the_disk_fail),
		TEST_ON(a_readonly_disk_refuses_writes, setup_readonly),
		TEST(a_shrunken_disk_gives_an_error),
		TEST_ON(a_shrunken_disk_gives_an_error, setup_real),
		TEST(without_an_engine_there_is_no_device),
		TEST(a_batch_interrupts_once),
		TEST_ON(a_batch_of_cached_reads_interrupts_once, setup_real),
		TEST_ON(misaligned_buffers_of_a_direct_disk_are_bounced,
			setup_direct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
