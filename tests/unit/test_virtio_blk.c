#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/le_types.h"
#include "devices/virtio_blk.h"
#include "tests/fake_driver.h"
#include "tests/sync_engine.h"

#define DISK_SIZE 65536
#define SECTORS (DISK_SIZE / 512)
#define INDIRECT (1ULL << VIRTIO_RING_F_INDIRECT_DESC)

/* On a memfd, which has no RWF_NOWAIT, so that all I/O goes to the engine;
 * on a file of a disk file system reads are served inline. */
struct fixture {
	struct fake_driver d;
	struct virtio_device *dev;
	struct disk disk;
	uint64_t header, data, status; /* one request's parts */
};

static struct fixture fixture;

static int start(void **state, bool readonly, bool direct,
		 block_engine_create_fn *engine, int fd)
{
	struct fixture *f = &fixture;
	struct virtio_blk_options options = {
		.disk = &f->disk,
		.serial = "vda-serial",
		.engine_create = engine,
	};
	uint8_t sector[512];
	struct error err;

	for (unsigned i = 0; i < SECTORS; i++) {
		memset(sector, (int)i, sizeof(sector));
		if (pwrite(fd, sector, sizeof(sector), 512 * i) < 0)
			return -1;
	}
	f->disk = (struct disk){
		.fd = fd,
		.readonly = readonly,
		.direct = direct,
		.size = DISK_SIZE,
		.block_size = 512,
		.mem_align = direct ? 512 : 1,
	};
	sync_engine_hold = false;
	sync_engine_short = 0;
	fake_init(&f->d);
	f->dev = virtio_blk_create(&options, &f->d.mem, f->d.loop, &err);
	fake_attach(&f->d, f->dev);
	f->header = fake_alloc(&f->d, 16, 16);
	f->data = fake_alloc(&f->d, 8192, 4096);
	f->status = fake_alloc(&f->d, 16, 16);
	*state = f;
	return !f->dev;
}

static int setup(void **state)
{
	return start(state, false, false, sync_engine_create,
		     memfd_create("disk", 0));
}

static int setup_readonly(void **state)
{
	return start(state, true, false, sync_engine_create,
		     memfd_create("disk", 0));
}

static int setup_direct(void **state)
{
	return start(state, false, true, sync_engine_create,
		     memfd_create("disk", 0));
}

/* The engine that the program uses, on a real file. */
static int setup_real(void **state)
{
	char path[] = "/tmp/onggi-blk-XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	return start(state, false, false, NULL, fd);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	virtio_blk_destroy(f->dev);
	virtio_blk_destroy(NULL);
	close(f->disk.fd);
	fake_fini(&f->d);
	return 0;
}

static void set_header(struct fixture *f, uint64_t gpa, uint32_t type,
		       uint64_t sector)
{
	le32_t le_type = le32(type);
	le64_t le_sector = le64(sector);

	memcpy(fake_ptr(&f->d, gpa), &le_type, 4);
	memcpy(fake_ptr(&f->d, gpa + 8), &le_sector, 8);
}

static void submit(struct fixture *f, uint32_t type, uint64_t sector,
		   uint32_t len)
{
	bool out = type == VIRTIO_BLK_T_OUT;
	struct fake_buffer b[] = { { f->header, 16 },
				   { f->data, len },
				   { f->status, 1 } };

	set_header(f, f->header, type, sector);
	*(uint8_t *)fake_ptr(&f->d, f->status) = 0xff;
	fake_add(&f->d, 0, b, out ? 2 : 1, out ? 1 : 2);
	fake_kick(&f->d, 0);
}

/* The status byte; *len is the used length. Lets the loop run while the
 * request is under way. */
static uint8_t finish(struct fixture *f, uint32_t *len)
{
	uint32_t head;

	for (int i = 0; i < 5000; i++) {
		if (fake_get_used(&f->d, 0, &head, len))
			return *(uint8_t *)fake_ptr(&f->d, f->status);
		fake_run_loop(&f->d);
		usleep(i < 10 ? 0 : 1000);
	}
	fail_msg("the request never finishes");
	return 0xff;
}

static uint8_t request(struct fixture *f, uint32_t type, uint64_t sector,
		       uint32_t size)
{
	uint32_t len;
	uint8_t status;

	submit(f, type, sector, size);
	status = finish(f, &len);
	assert_int_equal(len,
			 status == VIRTIO_BLK_S_OK && type == VIRTIO_BLK_T_IN
				 ? size + 1
				 : 1);
	return status;
}

static void config_space_tells_capacity_and_limits(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_config(&f->d, 0, 8), SECTORS);
	assert_int_equal(fake_config(&f->d, 12, 4), CHAIN_IOV_MAX - 2);
	assert_int_equal(fake_config(&f->d, 20, 4), 512);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_QUEUE_NUM_MAX), 128);
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
	static const uint32_t types[] = { 2,  3,	  5,	     11,
					  13, 0x80000000, UINT32_MAX };
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

/* --- framing and hostile drivers --- */

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

static void a_reset_in_mid_flight_waits_for_the_disk(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = fake_ptr(&f->d, f->data);

	fake_start(&f->d, 0, 8);
	sync_engine_hold = true;
	submit(f, VIRTIO_BLK_T_IN, 5, 512);
	fake_run_loop(&f->d);
	assert_int_equal(data[0], 0);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	/* nothing writes to guest memory from here on */
	memset(f->d.ram, 0x77, FAKE_RAM_SIZE);
	fake_run_loop(&f->d);
	for (size_t i = 0; i < FAKE_RAM_SIZE; i++)
		assert_int_equal(f->d.ram[i], 0x77);
	sync_engine_hold = false;
	fake_start(&f->d, 0, 8);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 5, 512), VIRTIO_BLK_S_OK);
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
	fake_make_available(&f->d, 0, 0);
	fake_kick(&f->d, 0);
	fake_run_loop(&f->d);
	assert_true(fake_needs_reset(&f->d));
	assert_int_equal(fake_used_idx(&f->d, 0), 1);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(fake_used_idx(&f->d, 0), 129);
}

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

static void an_indirect_request_of_the_longest_kind_works(void **state)
{
	struct fixture *f = *state;
	uint64_t table = fake_alloc(&f->d, 128 * 16, 16);
	uint64_t pages = fake_alloc(&f->d, 126 * 1024, 512);
	uint32_t head, len;

	fake_start(&f->d, INDIRECT, 128);
	set_header(f, f->header, VIRTIO_BLK_T_IN, 0);
	fake_desc(&f->d, table, 0, f->header, 16, FAKE_NEXT, 1);
	for (unsigned i = 1; i <= 126; i++)
		fake_desc(&f->d, table, i, pages + 1024 * i - 1024, 512,
			  FAKE_NEXT | FAKE_WRITE, (uint16_t)(i + 1));
	fake_desc(&f->d, table, 127, f->status, 1, FAKE_WRITE, 0);
	fake_desc(&f->d, f->d.queues[0].desc, 0, table, 128 * 16, FAKE_INDIRECT,
		  0);
	fake_make_available(&f->d, 0, 0);
	fake_kick(&f->d, 0);
	fake_run_loop(&f->d);
	assert_true(fake_get_used(&f->d, 0, &head, &len));
	assert_int_equal(len, 126 * 512 + 1);
	assert_int_equal(*(uint8_t *)fake_ptr(&f->d, pages + 1024 * 125), 125);
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
		TEST(reads_and_writes_reach_the_disk),
		TEST_ON(reads_and_writes_reach_the_disk, setup_real),
		TEST_ON(reads_and_writes_reach_the_disk, setup_direct),
		TEST(short_transfers_go_on),
		TEST(get_id_gives_20_bytes),
		TEST(unknown_types_are_unsupported),
		TEST(requests_outside_the_disk_fail),
		TEST_ON(a_readonly_disk_refuses_writes, setup_readonly),
		TEST(a_shrunken_disk_gives_an_error),
		TEST_ON(a_shrunken_disk_gives_an_error, setup_real),
		TEST(any_framing_of_header_data_and_status_works),
		TEST(a_chain_without_a_status_byte_needs_a_reset),
		TEST(a_chain_without_a_whole_header_fails),
		TEST(a_bad_ring_needs_a_reset_and_keeps_what_is_under_way),
		TEST(a_reset_in_mid_flight_waits_for_the_disk),
		TEST(a_head_given_again_and_again_cannot_exhaust_the_device),
		TEST(a_batch_interrupts_once),
		TEST_ON(a_batch_interrupts_once, setup_real),
		TEST(an_indirect_request_of_the_longest_kind_works),
		TEST_ON(misaligned_buffers_of_a_direct_disk_are_bounced,
			setup_direct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
