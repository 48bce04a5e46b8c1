#include "tests/unit/unit.h"

#include <linux/virtio_mmio.h>
#include <linux/virtio_pmem.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/le_types.h"
#include "devices/block/virtio_pmem.h"
#include "tests/fake_driver.h"
#include "tests/sync_engine.h"

#define START 0x140000000ULL
#define SIZE (16ULL << 20)
#define UNTOUCHED 0xeeeeeeeeu

struct fixture {
	struct fake_driver d;
	struct virtio_device *dev;
	int fd;
	uint64_t req, resp;
};

static int start(void **state, int fd, block_engine_create_fn *engine)
{
	static struct fixture f;
	struct virtio_pmem_options options = {
		.start = START,
		.size = SIZE,
		.fd = fd,
		.engine_create = engine,
	};
	struct error err;

	sync_engine_flushes = 0;
	fake_init(&f.d);
	f.fd = fd;
	f.dev = virtio_pmem_create(&options, &f.d.mem, f.d.loop, &err);
	fake_attach(&f.d, f.dev);
	f.req = fake_alloc(&f.d, 4, 4);
	f.resp = fake_alloc(&f.d, 4, 4);
	*state = &f;
	return !f.dev;
}

static int setup(void **state)
{
	return start(state, memfd_create("pmem", 0), sync_engine_create);
}

static int setup_real(void **state)
{
	return start(state, memfd_create("pmem", 0), NULL);
}

static int setup_volatile(void **state)
{
	return start(state, -1, sync_engine_create);
}

static struct block_engine *
no_engine(const struct block_engine_options *options, struct error *err)
{
	(void)options;
	error_set(err, ERROR_IO, 0, "none today");
	return NULL;
}

/* One whose flushes fail: fsync() of a pipe does. */
static int setup_bad_file(void **state)
{
	int fds[2];

	if (pipe(fds))
		return -1;
	close(fds[1]);
	return start(state, fds[0], NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	virtio_device_destroy(f->dev);
	virtio_device_destroy(NULL);
	close(f->fd);
	fake_fini(&f->d);
	return 0;
}

static void submit(struct fixture *f, uint32_t type)
{
	struct fake_buffer b[] = { { f->req, 4 }, { f->resp, 4 } };
	le32_t le_type = le32(type), untouched = le32(UNTOUCHED);

	memcpy(fake_ptr(&f->d, f->req), &le_type, 4);
	memcpy(fake_ptr(&f->d, f->resp), &untouched, 4);
	fake_add(&f->d, 0, b, 1, 1);
	fake_kick(&f->d, 0);
}

static uint32_t answer(struct fixture *f)
{
	return le32_get(*(le32_t *)fake_ptr(&f->d, f->resp));
}

/* Lets the loop run until the next request is finished. */
static void finish(struct fixture *f)
{
	uint32_t head, len;

	for (int i = 0; i < 5000; i++) {
		if (fake_get_used(&f->d, 0, &head, &len)) {
			assert_int_equal(len, 4);
			return;
		}
		fake_run_loop(&f->d);
		usleep(i < 10 ? 0 : 1000);
	}
	fail_msg("the request never finishes");
}

static void config_space_tells_where_it_is(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_config(&f->d, 0, 8), START);
	assert_int_equal(fake_config(&f->d, 8, 8), SIZE);
}

static void a_flush_is_done_and_answered(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	for (int i = 0; i < 20; i++) {
		submit(f, VIRTIO_PMEM_REQ_TYPE_FLUSH);
		finish(f);
		assert_int_equal(answer(f), 0);
		assert_int_equal(fake_interrupts(&f->d), 1);
	}
}

static void a_flush_that_fails_says_so(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	submit(f, VIRTIO_PMEM_REQ_TYPE_FLUSH);
	finish(f);
	assert_int_equal(answer(f), 1);
	assert_false(fake_needs_reset(&f->d));
}

static void without_durability_nothing_is_flushed(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	submit(f, VIRTIO_PMEM_REQ_TYPE_FLUSH);
	finish(f);
	assert_int_equal(answer(f), 0);
	assert_int_equal(sync_engine_flushes, 0);
}

/* A file that is only read has no need of one. */
static void without_an_engine_there_is_no_device(void **state)
{
	struct fixture *f = *state;
	struct virtio_pmem_options options = {
		.start = START,
		.size = SIZE,
		.fd = f->fd,
		.engine_create = no_engine,
	};
	struct virtio_device *dev;
	struct error err;

	assert_null(virtio_pmem_create(&options, &f->d.mem, f->d.loop, &err));
	assert_string_equal(err.text, "virtio-pmem: none today");
	options.fd = -1;
	dev = virtio_pmem_create(&options, &f->d.mem, f->d.loop, &err);
	assert_non_null(dev);
	virtio_device_destroy(dev);
}

static void other_commands_are_refused(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	submit(f, 1);
	finish(f);
	assert_int_equal(answer(f), 1);
	assert_int_equal(sync_engine_flushes, 0);
	submit(f, VIRTIO_PMEM_REQ_TYPE_FLUSH);
	finish(f);
	assert_int_equal(answer(f), 0);
	assert_int_equal(sync_engine_flushes, 1);
}

static void request_and_answer_may_lie_in_pieces(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b[] = { { f->req, 1 },
				   { f->req + 1, 3 },
				   { f->resp, 1 },
				   { f->resp + 1, 2 },
				   { f->resp + 3, 1 } };

	fake_start(&f->d, 0, 8);
	memset(fake_ptr(&f->d, f->req), 0, 4);
	memset(fake_ptr(&f->d, f->resp), 0xee, 4);
	fake_add(&f->d, 0, b, 2, 3);
	fake_kick(&f->d, 0);
	finish(f);
	assert_int_equal(answer(f), 0);
}

static void a_request_that_is_too_short_needs_a_reset(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer whole = { f->resp, 4 }, piece = { f->resp, 3 };
	struct {
		struct fake_buffer buffers[2];
		unsigned outs, ins;
	} bad[] = {
		{ { { f->req, 3 }, whole }, 1, 1 },
		{ { { f->req, 4 }, piece }, 1, 1 },
		{ { { f->req, 4 } }, 1, 0 },
		{ { whole }, 0, 1 },
	};
	uint32_t head, len;

	for (unsigned i = 0; i < 4; i++) {
		fake_start(&f->d, 0, 8);
		fake_add(&f->d, 0, bad[i].buffers, bad[i].outs, bad[i].ins);
		fake_kick(&f->d, 0);
		assert_true(fake_get_used(&f->d, 0, &head, &len));
		assert_int_equal(len, 0);
		assert_true(fake_needs_reset(&f->d));
	}
	assert_int_equal(sync_engine_flushes, 0);
}

static void a_bad_ring_needs_a_reset(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	fake_set_avail_idx(&f->d, 0, 0x100);
	fake_kick(&f->d, 0);
	assert_true(fake_needs_reset(&f->d));
}

/* More than the device has places for: the rest waits in the ring. */
static void any_number_of_flushes_is_served(void **state)
{
	struct fixture *f = *state;
	const unsigned count = 3 * VIRTIO_PMEM_FLUSHES_MAX - 1;

	fake_start(&f->d, 0, VIRTIO_PMEM_QUEUE_SIZE);
	for (unsigned i = 0; i < count; i++)
		submit(f, VIRTIO_PMEM_REQ_TYPE_FLUSH);
	assert_int_equal(fake_used_idx(&f->d, 0), 0);
	for (unsigned i = 0; i < count; i++)
		finish(f);
	assert_int_equal(sync_engine_flushes, count);
}

/* What is under way at a reset is answered neither to the ring that was nor
 * to the one that is, and its place is free again when it ends. */
static void a_reset_forgets_what_is_under_way(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 32);
	for (int i = 0; i < VIRTIO_PMEM_FLUSHES_MAX + 3; i++)
		submit(f, VIRTIO_PMEM_REQ_TYPE_FLUSH);
	fake_start(&f->d, 0, 32);
	submit(f, VIRTIO_PMEM_REQ_TYPE_FLUSH);
	assert_int_equal(fake_used_idx(&f->d, 0), 0);
	assert_int_equal(answer(f), UNTOUCHED);
	finish(f);
	assert_int_equal(answer(f), 0);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, 0), 1);
	assert_int_equal(sync_engine_flushes, VIRTIO_PMEM_FLUSHES_MAX + 1);
	assert_false(fake_needs_reset(&f->d));
}

static void it_may_be_taken_away_in_the_midst(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	for (int i = 0; i < 5; i++)
		submit(f, VIRTIO_PMEM_REQ_TYPE_FLUSH);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_WITH(name, how) \
	cmocka_unit_test_setup_teardown(name, how, teardown)
	const struct CMUnitTest tests[] = {
		TEST(config_space_tells_where_it_is),
		TEST(a_flush_is_done_and_answered),
		TEST_WITH(a_flush_is_done_and_answered, setup_real),
		TEST_WITH(a_flush_that_fails_says_so, setup_bad_file),
		TEST_WITH(without_durability_nothing_is_flushed,
			  setup_volatile),
		TEST(without_an_engine_there_is_no_device),
		TEST(other_commands_are_refused),
		TEST(request_and_answer_may_lie_in_pieces),
		TEST(a_request_that_is_too_short_needs_a_reset),
		TEST(a_bad_ring_needs_a_reset),
		TEST(any_number_of_flushes_is_served),
		TEST(a_reset_forgets_what_is_under_way),
		TEST_WITH(it_may_be_taken_away_in_the_midst, setup_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
