/* Disks that change their size, or are exchanged, under a running driver. */
#include "tests/unit/devices/block/virtio_blk_fixture.h"

#define FLUSH (1ULL << VIRTIO_BLK_F_FLUSH)

static unsigned swapped; /* how often the device has let go of a disk */
static unsigned refused; /* how often it could not take another one */

static int setup_swap(void **state)
{
	swapped = refused = 0;
	return setup(state);
}

static int setup_swap_real(void **state)
{
	swapped = refused = 0;
	return setup_real(state);
}

static int setup_swap_threads(void **state)
{
	char path[] = "/tmp/onggi-blk-XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	swapped = refused = 0;
	return start(state, false, 0, block_thread_create, fd);
}

static int setup_swap_4k(void **state)
{
	swapped = refused = 0;
	return setup_direct_4k(state);
}

static int setup_swap_readonly(void **state)
{
	swapped = refused = 0;
	return setup_readonly(state);
}

static int setup_swap_unsafe(void **state)
{
	fixture_unsafe = true;
	return setup_swap(state);
}

static int setup_swap_two(void **state)
{
	fixture_queues = 2;
	return setup_swap(state);
}

static int teardown_swap(void **state)
{
	fixture_queues = 1;
	fixture_unsafe = false;
	return teardown(state);
}

static void resize(struct fixture *f, uint64_t size)
{
	pthread_mutex_lock(&f->dev->lock);
	virtio_blk_resize(f->dev, size);
	pthread_mutex_unlock(&f->dev->lock);
}

static uint32_t causes(struct fixture *f)
{
	uint32_t status = fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS);

	fake_write(&f->d, VIRTIO_MMIO_INTERRUPT_ACK, status);
	fake_interrupts(&f->d);
	return status;
}

static uint32_t generation(struct fixture *f)
{
	return fake_read(&f->d, VIRTIO_MMIO_CONFIG_GENERATION);
}

/* --- size --- */

static void a_driver_is_told_of_a_new_size(void **state)
{
	struct fixture *f = *state;
	uint32_t before = generation(f);

	/* one that is not up reads it when it comes */
	resize(f, DISK_SIZE - 512);
	assert_int_equal(causes(f), 0);
	assert_int_not_equal(generation(f), before);
	assert_int_equal(fake_config(&f->d, 0, 8), SECTORS - 1);
	fake_start(&f->d, FLUSH, 8);
	before = generation(f);
	resize(f, DISK_SIZE - 512);
	assert_int_equal(causes(f), 0);
	assert_int_equal(generation(f), before);
	resize(f, DISK_SIZE + 4 * 512 + 511);
	assert_int_equal(causes(f), VIRTIO_MMIO_INT_CONFIG);
	assert_int_not_equal(generation(f), before);
	assert_int_equal(fake_config(&f->d, 0, 8), SECTORS + 4);
}

static void requests_reach_as_far_as_the_new_size(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, FLUSH, 8);
	assert_int_equal(ftruncate(f->disk.fd, 2 * DISK_SIZE), 0);
	resize(f, 2 * DISK_SIZE);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 2 * SECTORS - 1, 512),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 2 * SECTORS - 1, 1024),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(ftruncate(f->disk.fd, 1024), 0);
	/* from before the driver can know */
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 1, 1024),
			 VIRTIO_BLK_S_IOERR);
	resize(f, 1024);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 1, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 1, 1024),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 2, 512),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(lseek(f->disk.fd, 0, SEEK_END), 1024);
	resize(f, 0);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 512),
			 VIRTIO_BLK_S_IOERR);
	assert_false(fake_needs_reset(&f->d));
}

static void a_disk_may_shrink_under_its_requests(void **state)
{
	struct fixture *f = *state;
	uint32_t len;

	fake_start(&f->d, FLUSH, 8);
	sync_engine_hold = true;
	submit(f, VIRTIO_BLK_T_IN, 2, 4096);
	assert_int_equal(ftruncate(f->disk.fd, 2048), 0);
	resize(f, 2048);
	sync_engine_hold = false;
	assert_int_equal(finish(f, &len), VIRTIO_BLK_S_IOERR);
	assert_int_equal(len, 1);
}

/* --- another disk --- */

/* Half as many sectors again, filled with their number and 100. */
static struct disk another_disk(struct fixture *f)
{
	char path[] = "/tmp/onggi-blk-XXXXXX";
	struct disk disk = f->disk;
	bool on_memory = fcntl(f->disk.fd, F_GET_SEALS) >= 0;
	uint8_t sector[512];

	disk.fd = on_memory ? memfd_create("disk", 0) : mkstemp(path);
	if (!on_memory)
		unlink(path);
	disk.size = DISK_SIZE * 3 / 2;
	for (unsigned i = 0; i < SECTORS * 3 / 2; i++) {
		memset(sector, (int)(100 + i), sizeof(sector));
		assert_int_equal(pwrite(disk.fd, sector, 512, 512 * i), 512);
	}
	return disk;
}

/* Takes the place of fixture's descriptor, as the owner of both does. */
static int new_fd;

static void on_swapped(void *ctx, int result)
{
	struct fixture *f = ctx;

	if (result) {
		assert_int_equal(result, -ENOMEM);
		assert_int_equal(close(new_fd), 0);
		refused++;
		return;
	}
	swapped++;
	assert_int_equal(close(f->disk.fd), 0);
	f->disk.fd = new_fd;
}

static int swap_for(struct fixture *f, const struct disk *disk,
		    struct error *err)
{
	int ret;

	pthread_mutex_lock(&f->dev->lock);
	new_fd = disk->fd;
	ret = virtio_blk_swap(f->dev, disk, on_swapped, f, err);
	pthread_mutex_unlock(&f->dev->lock);
	return ret;
}

static void swap(struct fixture *f)
{
	struct disk disk = another_disk(f);
	struct error err;

	assert_int_equal(swap_for(f, &disk, &err), 0);
}

static void wait_for_swap(struct fixture *f, unsigned count)
{
	for (int i = 0; i < 5000 && swapped < count; i++) {
		fake_run_loop(&f->d);
		usleep(i < 10 ? 0 : 1000);
	}
	assert_int_equal(swapped, count);
}

static uint8_t first_byte(struct fixture *f, uint64_t sector)
{
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, sector, 512),
			 VIRTIO_BLK_S_OK);
	return *(uint8_t *)fake_ptr(&f->d, f->data);
}

static void a_disk_at_rest_is_exchanged(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, FLUSH, 8);
	assert_int_equal(first_byte(f, 7), 7);
	causes(f);
	swap(f);
	wait_for_swap(f, 1);
	assert_int_equal(causes(f), VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(fake_config(&f->d, 0, 8), SECTORS * 3 / 2);
	assert_int_equal(first_byte(f, 7), 107);
	assert_int_equal(first_byte(f, SECTORS * 3 / 2 - 1),
			 (uint8_t)(99 + SECTORS * 3 / 2));
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, SECTORS * 3 / 2, 512),
			 VIRTIO_BLK_S_IOERR);
	/* and again */
	swap(f);
	wait_for_swap(f, 2);
	assert_int_equal(first_byte(f, 8), 108);
}

static void what_is_under_way_ends_on_the_old_disk(void **state)
{
	struct fixture *f = *state;
	int old = dup(f->disk.fd);
	uint8_t *data = fake_ptr(&f->d, f->data), byte;
	uint32_t len;

	fake_start(&f->d, FLUSH, 8);
	sync_engine_hold = true;
	memset(data, 0xee, 512);
	submit(f, VIRTIO_BLK_T_OUT, 5, 512);
	swap(f);
	submit(f, VIRTIO_BLK_T_IN, 6, 512);
	assert_int_equal(swapped, 0);
	assert_int_equal(fake_used_idx(&f->d, 0), 0);
	sync_engine_hold = false;
	assert_int_equal(finish(f, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(pread(old, &byte, 1, 5 * 512), 1);
	assert_int_equal(byte, 0xee);
	/* this one waited for the new one */
	assert_int_equal(finish(f, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(swapped, 1);
	assert_int_equal(data[0], 106);
	assert_int_equal(pread(f->disk.fd, &byte, 1, 5 * 512), 1);
	assert_int_equal(byte, 105);
	assert_int_equal(sync_engine_flushes, 1);
	close(old);
}

static void an_exchange_flushes_what_can_be_flushed(void **state)
{
	struct fixture *f = *state;
	bool expected = !f->disk.readonly && !fixture_unsafe;

	fake_start(&f->d, FLUSH, 8);
	swap(f);
	wait_for_swap(f, 1);
	assert_int_equal(sync_engine_flushes, expected);
}

static void a_disk_that_the_driver_cannot_go_on_with_is_refused(void **state)
{
	struct fixture *f = *state;
	struct disk disk = another_disk(f);
	struct error err;

	fake_start(&f->d, FLUSH, 8);
	disk.block_size = 4096;
	assert_int_equal(swap_for(f, &disk, &err), -1);
	assert_non_null(strstr(err.text, "4096"));
	disk.block_size = 512;
	disk.readonly = true;
	assert_int_equal(swap_for(f, &disk, &err), -1);
	disk.readonly = false;
	causes(f);
	assert_int_equal(first_byte(f, 3), 3);
	assert_int_equal(swapped, 0);
	/* one at a time */
	sync_engine_hold = true;
	submit(f, VIRTIO_BLK_T_IN, 6, 512);
	assert_int_equal(swap_for(f, &disk, &err), 0);
	assert_int_equal(swap_for(f, &disk, &err), -1);
	sync_engine_hold = false;
	wait_for_swap(f, 1);
}

static void a_disk_that_the_engine_cannot_take_leaves_the_old_one(void **state)
{
	struct fixture *f = *state;
	uint32_t len;

	fake_start(&f->d, FLUSH, 8);
	causes(f);
	sync_engine_set_file_error = ENOMEM;
	sync_engine_hold = true;
	submit(f, VIRTIO_BLK_T_IN, 6, 512);
	swap(f);
	submit(f, VIRTIO_BLK_T_IN, 7, 512);
	sync_engine_hold = false;
	assert_int_equal(finish(f, &len), VIRTIO_BLK_S_OK);
	/* this one has waited, and reads from the old disk */
	assert_int_equal(finish(f, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(*(uint8_t *)fake_ptr(&f->d, f->data), 7);
	assert_int_equal(refused, 1);
	assert_int_equal(swapped, 0);
	assert_false(causes(f) & VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(fake_config(&f->d, 0, 8), SECTORS);
	/* the next attempt may do better */
	sync_engine_set_file_error = 0;
	swap(f);
	wait_for_swap(f, 1);
	assert_int_equal(first_byte(f, 7), 107);
}

static void the_drivers_blocks_stay_what_they_are(void **state)
{
	struct fixture *f = *state;
	struct disk disk = another_disk(f);
	struct error err;

	fake_start(&f->d, FLUSH, 8);
	disk.block_size = 512;
	disk.mem_align = 512;
	disk.size -= 512;
	assert_int_equal(swap_for(f, &disk, &err), 0);
	wait_for_swap(f, 1);
	assert_int_equal(fake_config(&f->d, 20, 4), 4096);
	assert_int_equal(fake_config(&f->d, 0, 8), SECTORS * 3 / 2 - 8);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 1, 512),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 8, 4096), VIRTIO_BLK_S_OK);
}

static void a_new_disk_is_asked_anew_what_it_can(void **state)
{
	struct fixture *f = *state;
	uint64_t features = FLUSH | 1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
	uint8_t *data = fake_ptr(&f->d, f->data);

	fake_start(&f->d, features, 8);
	for (int i = 0; i < 2; i++) {
		struct fake_buffer b[] = { { f->header, 16 },
					   { f->data, 16 },
					   { f->status, 1 } };
		uint32_t len;

		sync_engine_fallocate_error = EOPNOTSUPP;
		memset(data, 0, 16);
		data[0] = 40;
		data[8] = 1;
		set_header(f, f->header, VIRTIO_BLK_T_WRITE_ZEROES, 0);
		fake_add(&f->d, 0, b, 2, 1);
		fake_kick(&f->d, 0);
		assert_int_equal(finish(f, &len), VIRTIO_BLK_S_OK);
		assert_int_equal(sync_engine_fallocates, i + 1);
		swap(f);
		wait_for_swap(f, (unsigned)i + 1);
	}
}

/* --- drivers that come and go meanwhile --- */

static void an_exchange_survives(struct fixture *f, uint64_t reg)
{
	fake_start(&f->d, FLUSH, 8);
	sync_engine_hold = true;
	submit(f, VIRTIO_BLK_T_IN, 6, 512);
	swap(f);
	submit(f, VIRTIO_BLK_T_IN, 7, 512);
	fake_write(&f->d, reg, 0);
	memset(f->d.ram, 0x77, FAKE_RAM_SIZE);
	sync_engine_hold = false;
	wait_for_swap(f, 1);
	for (size_t i = 0; i < FAKE_RAM_SIZE; i++)
		assert_int_equal(f->d.ram[i], 0x77);
	fake_start(&f->d, FLUSH, 8);
	assert_int_equal(first_byte(f, 7), 107);
}

static void an_exchange_survives_a_reset(void **state)
{
	an_exchange_survives(*state, VIRTIO_MMIO_STATUS);
}

static void an_exchange_survives_the_stop_of_the_queue(void **state)
{
	an_exchange_survives(*state, VIRTIO_MMIO_QUEUE_READY);
}

static void a_driver_that_comes_back_too_early_waits(void **state)
{
	struct fixture *f = *state;
	uint32_t len;

	fake_start(&f->d, FLUSH, 8);
	sync_engine_hold = true;
	submit(f, VIRTIO_BLK_T_IN, 6, 512);
	swap(f);
	fake_start(&f->d, FLUSH, 8);
	submit(f, VIRTIO_BLK_T_IN, 7, 512);
	assert_int_equal(swapped, 0);
	assert_int_equal(fake_used_idx(&f->d, 0), 0);
	sync_engine_hold = false;
	assert_int_equal(finish(f, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(swapped, 1);
	assert_int_equal(*(uint8_t *)fake_ptr(&f->d, f->data), 107);
}

static void queues_wait_for_the_new_disk(void **state)
{
	struct fixture *f = *state;
	uint32_t len;

	fake_start(&f->d, FLUSH | 1ULL << VIRTIO_BLK_F_MQ, 8);
	sync_engine_hold = true;
	submit_to(f, 1, VIRTIO_BLK_T_IN, 6, 512);
	swap(f);
	submit_to(f, 0, VIRTIO_BLK_T_IN, 7, 512);
	submit_to(f, 1, VIRTIO_BLK_T_IN, 7, 512);
	/* the one with something under way stops */
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, 1);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(swapped, 0);
	sync_engine_hold = false;
	assert_int_equal(finish_on(f, 0, &len), VIRTIO_BLK_S_OK);
	assert_int_equal(swapped, 1);
	assert_int_equal(*(uint8_t *)fake_ptr(&f->d, f->data), 107);
}

static void a_device_that_goes_away_lets_go_of_the_old_disk(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, FLUSH, 8);
	sync_engine_hold = true;
	submit(f, VIRTIO_BLK_T_IN, 6, 512);
	swap(f);
	fake_detach(&f->d);
	assert_int_equal(swapped, 0);
	virtio_device_destroy(f->dev);
	assert_int_equal(swapped, 1);
	f->dev = NULL;
}

/* On the engines of the program, with requests on the way all the time. */
static void disks_are_exchanged_in_mid_traffic(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = fake_ptr(&f->d, f->data);
	uint64_t flush = fake_alloc(&f->d, 17, 16);
	struct fake_buffer reads[] = { { f->header, 16 },
				       { f->data, 512 },
				       { f->status, 1 } };
	struct fake_buffer flushes[] = { { flush, 16 }, { flush + 16, 1 } };
	unsigned used = 0, sent = 0, whole = 0;
	uint32_t head, len;

	fake_start(&f->d, FLUSH, 128);
	set_header(f, f->header, VIRTIO_BLK_T_IN, 5);
	set_header(f, flush, VIRTIO_BLK_T_FLUSH, 0);
	for (unsigned round = 0; round < 20; round++) {
		for (int i = 0; i < 8; i++, sent += 2) {
			fake_add(&f->d, 0, flushes, 1, 1);
			fake_add(&f->d, 0, reads, 1, 2);
			fake_kick(&f->d, 0);
		}
		swap(f);
		fake_add(&f->d, 0, reads, 1, 2);
		fake_kick(&f->d, 0);
		sent++;
		for (int i = 0; i < 5000 && used < sent; i++) {
			while (fake_get_used(&f->d, 0, &head, &len)) {
				used++;
				whole += len == 513;
			}
			fake_run_loop(&f->d);
			usleep(i < 10 ? 0 : 1000);
		}
		assert_int_equal(used, sent);
		assert_int_equal(whole, 9 * (round + 1));
		wait_for_swap(f, round + 1);
		/* the last one was read from the new disk */
		assert_int_equal(data[0], 105);
		data[0] = 0;
	}
}

int main(void)
{
#define TEST_ON(name, setup) \
	cmocka_unit_test_setup_teardown(name, setup, teardown_swap)
#define TEST(name) TEST_ON(name, setup_swap)
	const struct CMUnitTest tests[] = {
		TEST(a_driver_is_told_of_a_new_size),
		TEST(requests_reach_as_far_as_the_new_size),
		TEST(a_disk_may_shrink_under_its_requests),
		TEST(a_disk_at_rest_is_exchanged),
		TEST_ON(a_disk_at_rest_is_exchanged, setup_swap_real),
		TEST_ON(a_disk_at_rest_is_exchanged, setup_swap_threads),
		TEST(what_is_under_way_ends_on_the_old_disk),
		TEST(an_exchange_flushes_what_can_be_flushed),
		TEST_ON(an_exchange_flushes_what_can_be_flushed,
			setup_swap_readonly),
		TEST_ON(an_exchange_flushes_what_can_be_flushed,
			setup_swap_unsafe),
		TEST(a_disk_that_the_driver_cannot_go_on_with_is_refused),
		TEST(a_disk_that_the_engine_cannot_take_leaves_the_old_one),
		TEST_ON(the_drivers_blocks_stay_what_they_are, setup_swap_4k),
		TEST(a_new_disk_is_asked_anew_what_it_can),
		TEST(an_exchange_survives_a_reset),
		TEST(an_exchange_survives_the_stop_of_the_queue),
		TEST(a_driver_that_comes_back_too_early_waits),
		TEST_ON(queues_wait_for_the_new_disk, setup_swap_two),
		TEST(a_device_that_goes_away_lets_go_of_the_old_disk),
		TEST_ON(disks_are_exchanged_in_mid_traffic, setup_swap_real),
		TEST_ON(disks_are_exchanged_in_mid_traffic, setup_swap_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
