#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "devices/block/block_engine.h"
#include "devices/block/block_threads.h"
#include "devices/block/block_uring.h"

#define FILE_SIZE 65536

/* Every test runs on each engine. */
struct fixture {
	block_engine_create_fn *create;
	int fd, event_fd;
	struct block_engine *engine;
};

static int setup_on(void **state, block_engine_create_fn *create, int fd)
{
	static struct fixture f;
	struct block_engine_config config = { .max = 128 };
	uint8_t data[FILE_SIZE];
	struct error err;

	f.create = create;
	f.fd = fd;
	for (int i = 0; i < FILE_SIZE; i++)
		data[i] = (uint8_t)(i / 512);
	if (write(f.fd, data, sizeof(data)) != sizeof(data))
		return -1;
	f.event_fd = eventfd(0, EFD_NONBLOCK);
	config.fd = f.fd;
	config.event_fd = f.event_fd;
	f.engine = create(&config, &err);
	if (!f.engine)
		print_message("%s\n", err.text);
	*state = &f;
	return 0;
}

static int setup_with(void **state, block_engine_create_fn *create)
{
	char path[] = "/tmp/onggi-engine-XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	return setup_on(state, create, fd);
}

static int setup_uring(void **state)
{
	return setup_with(state, block_uring_create);
}

static int setup_threads(void **state)
{
	return setup_with(state, block_threads_create);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->engine)
		f->engine->ops->destroy(f->engine);
	close(f->fd);
	close(f->event_fd);
	return 0;
}

/* io_uring is refused on some hosts. */
static struct fixture *fixture_of(void **state)
{
	struct fixture *f = *state;

	if (!f->engine)
		skip();
	return f;
}

static struct block_request *wait_event(struct fixture *f)
{
	struct pollfd poll_fd = { .fd = f->event_fd, .events = POLLIN };
	struct block_request *req;
	uint64_t count;

	while (!(req = f->engine->ops->reap(f->engine, false))) {
		assert_int_equal(poll(&poll_fd, 1, 5000), 1);
		assert_int_equal(read(f->event_fd, &count, 8), 8);
	}
	return req;
}

static struct block_request request(enum block_op op, struct iovec *iov,
				    unsigned count, uint64_t offset)
{
	struct block_request req = {
		.op = op, .iov = iov, .iov_count = count, .offset = offset
	};

	for (unsigned i = 0; i < count; i++)
		req.left += iov[i].iov_len;
	return req;
}

static void a_read_arrives_and_signals(void **state)
{
	struct fixture *f = fixture_of(state);
	uint8_t a[512], b[1024];
	struct iovec iov[] = { { a, 512 }, { b, 1024 } };
	struct block_request req = request(BLOCK_READ, iov, 2, 512);

	f->engine->ops->queue(f->engine, &req);
	f->engine->ops->submit(f->engine);
	assert_ptr_equal(wait_event(f), &req);
	assert_int_equal(req.result, 0);
	assert_int_equal(a[0], 1);
	assert_int_equal(b[1023], 3);
}

static void a_write_lands_and_a_flush_follows(void **state)
{
	struct fixture *f = fixture_of(state);
	uint8_t data[512], back[512];
	struct iovec iov = { data, 512 };
	struct block_request req = request(BLOCK_WRITE, &iov, 1, 1024);
	struct block_request flush = { .op = BLOCK_FLUSH };

	memset(data, 0xee, sizeof(data));
	f->engine->ops->queue(f->engine, &req);
	f->engine->ops->submit(f->engine);
	assert_ptr_equal(wait_event(f), &req);
	assert_int_equal(req.result, 0);
	f->engine->ops->queue(f->engine, &flush);
	f->engine->ops->submit(f->engine);
	assert_ptr_equal(wait_event(f), &flush);
	assert_int_equal(flush.result, 0);
	assert_int_equal(pread(f->fd, back, 512, 1024), 512);
	assert_memory_equal(back, data, 512);
}

static int carry_out(struct fixture *f, enum block_op op, uint64_t offset,
		     size_t len)
{
	struct block_request req = { .op = op, .offset = offset, .left = len };

	f->engine->ops->queue(f->engine, &req);
	f->engine->ops->submit(f->engine);
	assert_ptr_equal(wait_event(f), &req);
	return req.result;
}

static void expect_zeroes(struct fixture *f, unsigned first, unsigned end)
{
	uint8_t sector[512];

	for (unsigned i = 0; i < FILE_SIZE / 512; i++) {
		assert_int_equal(pread(f->fd, sector, 512, 512 * i), 512);
		assert_int_equal(sector[0], i >= first && i < end ? 0 : i);
		assert_int_equal(sector[511], i >= first && i < end ? 0 : i);
	}
}

static void a_range_becomes_zeroes_as_the_file_system_can(void **state)
{
	static const enum block_op ops[] = { BLOCK_PUNCH, BLOCK_ZERO };
	struct fixture *f = fixture_of(state);
	unsigned end = 10;

	for (int i = 0; i < 2; i++) {
		struct block_request req = { .op = ops[i] };
		int mode = block_request_fallocate_mode(&req);
		int can = fallocate(f->fd, mode, FILE_SIZE - 1, 1) ? -errno : 0;

		assert_int_equal(carry_out(f, ops[i], 9 * 512, 512 * (end - 8)),
				 can);
		end += can ? 0 : 10;
	}
	assert_int_equal(
		carry_out(f, BLOCK_WRITE_ZEROES, 9 * 512, 512 * (end - 9)), 0);
	/* the last byte was tried with above */
	assert_int_equal(pwrite(f->fd, "\x7f", 1, FILE_SIZE - 1), 1);
	expect_zeroes(f, 9, end);
}

static void a_long_write_of_zeroes_reaches_its_end(void **state)
{
	struct fixture *f = fixture_of(state);
	size_t len = 2 * BLOCK_TRANSFER_MAX + 1024;
	uint8_t byte;

	assert_int_equal(carry_out(f, BLOCK_WRITE_ZEROES, 512, len), 0);
	assert_int_equal(lseek(f->fd, 0, SEEK_END), 512 + len);
	for (size_t at = 512; at < 512 + len; at += 511) {
		assert_int_equal(pread(f->fd, &byte, 1, (off_t)at), 1);
		assert_int_equal(byte, 0);
	}
}

static void what_a_file_cannot_do_says_so(void **state)
{
	struct fixture *f = fixture_of(state);
	int fd = memfd_create("disk", MFD_CLOEXEC);

	/* tmpfs has no ZERO_RANGE */
	assert_int_equal(ftruncate(fd, FILE_SIZE), 0);
	if (fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 512) == 0)
		skip();
	close(fd);
	teardown(state);
	assert_int_equal(setup_on(state, f->create,
				  memfd_create("disk", MFD_CLOEXEC)),
			 0);
	assert_int_equal(carry_out(f, BLOCK_ZERO, 0, 512), -EOPNOTSUPP);
	assert_int_equal(carry_out(f, BLOCK_PUNCH, 0, 512), 0);
}

static void a_read_past_the_end_goes_on_and_then_fails(void **state)
{
	struct fixture *f = fixture_of(state);
	uint8_t data[1024] = { 0 };
	struct iovec iov = { data, 1024 };
	struct block_request req =
		request(BLOCK_READ, &iov, 1, FILE_SIZE - 512);

	f->engine->ops->queue(f->engine, &req);
	f->engine->ops->submit(f->engine);
	assert_ptr_equal(wait_event(f), &req);
	assert_int_equal(req.result, -EIO);
	assert_int_equal(data[0], 127);
}

static void a_bounced_request_moves_all_its_bytes(void **state)
{
	struct fixture *f = fixture_of(state);
	static uint8_t out[40000], in[40000];
	struct iovec out_iov[] = { { out + 1, 100 }, { out + 101, 39000 } };
	struct iovec in_iov = { in + 1, 39100 };
	struct block_request req = request(BLOCK_WRITE, out_iov, 2, 512);

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 13);
	assert_int_equal(block_request_bounce(&req, 4096), 0);
	f->engine->ops->queue(f->engine, &req);
	f->engine->ops->submit(f->engine);
	assert_ptr_equal(wait_event(f), &req);
	assert_int_equal(req.result, 0);
	free(req.bounce);
	req = request(BLOCK_READ, &in_iov, 1, 512);
	assert_int_equal(block_request_bounce(&req, 1), 0);
	f->engine->ops->queue(f->engine, &req);
	f->engine->ops->submit(f->engine);
	assert_ptr_equal(wait_event(f), &req);
	free(req.bounce);
	assert_memory_equal(in + 1, out + 1, 39100);
}

static void as_many_as_promised_fit_at_once(void **state)
{
	struct fixture *f = fixture_of(state);
	static uint8_t data[128][512];
	static struct iovec iov[128];
	static struct block_request reqs[128];

	for (unsigned i = 0; i < 128; i++) {
		iov[i] = (struct iovec){ data[i], 512 };
		reqs[i] = request(BLOCK_READ, &iov[i], 1, 512 * i);
		f->engine->ops->queue(f->engine, &reqs[i]);
	}
	f->engine->ops->submit(f->engine);
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(wait_event(f)->result, 0);
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(data[i][0], i);
}

static void a_waiting_reap_drains_what_was_only_queued(void **state)
{
	struct fixture *f = fixture_of(state);
	uint8_t data[512];
	struct iovec iov = { data, 512 };
	struct block_request req = request(BLOCK_READ, &iov, 1, 512);
	struct block_request flush = { .op = BLOCK_FLUSH };

	f->engine->ops->queue(f->engine, &req);
	f->engine->ops->queue(f->engine, &flush);
	f->engine->draining = true;
	assert_non_null(f->engine->ops->reap(f->engine, true));
	assert_non_null(f->engine->ops->reap(f->engine, true));
	assert_null(f->engine->ops->reap(f->engine, true));
	assert_int_equal(data[0], 1);
}

static void *submit_elsewhere(void *arg)
{
	struct fixture *f = arg;

	f->engine->ops->submit(f->engine);
	return NULL;
}

static void another_thread_may_submit_and_end(void **state)
{
	struct fixture *f = fixture_of(state);
	uint8_t data[512];
	struct iovec iov = { data, 512 };
	struct block_request req = request(BLOCK_READ, &iov, 1, 1024);
	pthread_t thread;

	f->engine->ops->queue(f->engine, &req);
	pthread_create(&thread, NULL, submit_elsewhere, f);
	pthread_join(thread, NULL);
	assert_ptr_equal(f->engine->ops->reap(f->engine, true), &req);
}

/* From now on io_uring_enter() takes no request of this thread but together
 * with waiting for one, as if the kernel was out of memory before. */
static bool refuse_requests(void)
{
#define ARG(n) ((unsigned)offsetof(struct seccomp_data, args[n]))
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_enter, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG(1)), /* to_submit */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG(2)), /* min_complete */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	static struct sock_fprog program = {
		.len = sizeof(code) / sizeof(code[0]),
		.filter = code,
	};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

struct refused {
	struct fixture *f;
	struct block_request *req, *got;
	bool filtered;
};

static void *drain_refused(void *arg)
{
	struct refused *refused = arg;
	struct block_engine *engine = refused->f->engine;

	refused->filtered = refuse_requests();
	engine->ops->queue(engine, refused->req);
	engine->ops->submit(engine);
	refused->got = engine->ops->reap(engine, true);
	return NULL;
}

static void a_waiting_reap_does_not_wait_for_what_was_refused(void **state)
{
	struct fixture *f = fixture_of(state);
	uint8_t data[512];
	struct iovec iov = { data, sizeof(data) };
	struct block_request req = request(BLOCK_READ, &iov, 1, 512);
	struct refused refused = { .f = f, .req = &req };
	struct timespec end;
	pthread_t thread;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 10;
	pthread_create(&thread, NULL, drain_refused, &refused);
	assert_int_equal(pthread_timedjoin_np(thread, NULL, &end), 0);
	assert_ptr_equal(refused.got, &req);
	assert_int_equal(req.result, 0);
	assert_int_equal(data[0], 1);
	if (!refused.filtered)
		skip(); /* no seccomp here */
}

/* A file of 20 MiB in place of the small one, where each KiB begins with its
 * number. */
static void grow_file(struct fixture *f)
{
	static uint8_t kib[1024];

	for (uint32_t i = 0; i < 20 * 1024; i++) {
		memcpy(kib, &i, sizeof(i));
		assert_int_equal(pwrite(f->fd, kib, 1024, 1024 * (off_t)i),
				 1024);
	}
}

static void a_long_request_moves_all_its_bytes(void **state)
{
	struct fixture *f = fixture_of(state);
	size_t size = 6 << 20;
	uint8_t *data = calloc(1, size);
	struct iovec iov[] = { { data, 700 << 10 },
			       { data + (700 << 10), 600 << 10 },
			       { data + (1300 << 10), size - (1300 << 10) } };
	struct block_request req = request(BLOCK_READ, iov, 3, 1024);
	uint32_t number;

	grow_file(f);
	f->engine->ops->queue(f->engine, &req);
	f->engine->ops->submit(f->engine);
	assert_ptr_equal(wait_event(f), &req);
	assert_int_equal(req.result, 0);
	for (uint32_t i = 0; i < size / 1024; i++) {
		memcpy(&number, data + 1024 * (size_t)i, sizeof(number));
		assert_int_equal(number, i + 1);
	}
	free(data);
}

static void one_turn_of_io_uring_moves_a_bounded_amount(void **state)
{
	struct fixture *f = fixture_of(state);
	static uint8_t data[1 << 20];
	struct block_request reqs[16];
	struct iovec iov[16];
	unsigned done = 0, turn;
	uint64_t count;

	grow_file(f);
	for (unsigned i = 0; i < 16; i++) {
		iov[i] = (struct iovec){ data, sizeof(data) };
		reqs[i] = request(BLOCK_READ, &iov[i], 1, i * sizeof(data));
		f->engine->ops->queue(f->engine, &reqs[i]);
	}
	f->engine->ops->submit(f->engine);
	while (done < 16) {
		struct pollfd poll_fd = { .fd = f->event_fd, .events = POLLIN };

		assert_int_equal(poll(&poll_fd, 1, 5000), 1);
		assert_int_equal(read(f->event_fd, &count, 8), 8);
		for (turn = 0; f->engine->ops->reap(f->engine, false); turn++)
			;
		/* what was started by now is two turns at the most */
		assert_in_range(turn, 0, done ? 8 : 4);
		done += turn;
	}
}

/* --- without an engine --- */

static void a_transfer_is_cut_at_its_longest(void **state)
{
	static uint8_t data[(2 << 20) + 512];
	size_t most = BLOCK_TRANSFER_MAX;
	struct iovec iov[] = { { data, 4096 },
			       { data, most - 4096 },
			       { data, 2 * most + 512 },
			       { data, 512 } };
	struct block_request req = request(BLOCK_READ, iov, 4, 0);
	struct iovec *next;
	unsigned count;

	(void)state;
	next = block_request_next(&req, &count);
	assert_ptr_equal(next, &iov[0]);
	assert_int_equal(count, 2);
	assert_false(block_request_step(&req, (ssize_t)most, false));
	for (int i = 0; i < 2; i++) {
		next = block_request_next(&req, &count);
		assert_ptr_equal(next->iov_base, data + i * most);
		assert_int_equal(next->iov_len, most);
		assert_int_equal(count, 1);
		assert_false(block_request_step(&req, (ssize_t)most, false));
	}
	assert_int_equal(req.offset, 3 * most);
	block_request_next(&req, &count);
	assert_int_equal(count, 2);
	assert_true(block_request_step(&req, 1024, false));
	assert_int_equal(req.result, 0);
}

static void steps_continue_retry_and_fail_as_they_should(void **state)
{
	uint8_t data[1024];
	struct iovec iov[] = { { data, 512 }, { data + 512, 512 } };
	struct block_request req = request(BLOCK_READ, iov, 2, 0);
	unsigned count;

	(void)state;
	assert_false(block_request_step(&req, -EINTR, false));
	assert_false(block_request_step(&req, -EAGAIN, false));
	assert_false(block_request_step(&req, 600, false));
	assert_int_equal(req.offset, 600);
	assert_ptr_equal(block_request_next(&req, &count)->iov_base,
			 data + 600);
	assert_int_equal(count, 1);
	assert_true(block_request_step(&req, 424, false));
	assert_int_equal(req.result, 0);
	req = request(BLOCK_READ, iov, 1, 0);
	assert_true(block_request_step(&req, -ENOSPC, false));
	assert_int_equal(req.result, -ENOSPC);
	iov[0] = (struct iovec){ data, 512 };
	req = request(BLOCK_READ, iov, 1, 0);
	assert_true(block_request_step(&req, 100, true)); /* draining */
	assert_int_equal(req.result, -ECANCELED);
}

static void a_cached_read_is_finished_on_the_spot(void **state)
{
	uint8_t data[512];
	struct iovec iov = { data, 512 };
	struct block_request req = request(BLOCK_READ, &iov, 1, 512);
	bool unsupported = false;

	(void)setup_threads(state);
	if (!block_try_now(((struct fixture *)*state)->fd, &req, false,
			   &unsupported)) {
		teardown(state);
		skip(); /* a file system without RWF_NOWAIT */
	}
	assert_int_equal(req.result, 0);
	assert_int_equal(data[0], 1);
	teardown(state);
}

static void a_file_without_nowait_says_so(void **state)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	uint8_t data[512] = { 0 };
	struct iovec iov = { data, 512 };
	struct block_request req = request(BLOCK_WRITE, &iov, 1, 0);
	bool unsupported = false;

	(void)state;
	assert_int_equal(ftruncate(fd, 4096), 0);
	if (!block_try_now(fd, &req, false, &unsupported))
		assert_true(unsupported);
	req = request(BLOCK_WRITE, &iov, 1, 0);
	assert_true(block_try_now(fd, &req, true, &unsupported));
	assert_int_equal(req.result, 0);
	close(fd);
}

/* Of short buffers and a long one. */
static void a_long_write_to_memory_lands_whole(void **state)
{
	enum { BUFFERS = 40, SHORT = 3000, LONG = 150000 };
	static uint8_t data[(BUFFERS - 1) * SHORT + LONG];
	static uint8_t found[sizeof(data)];
	struct iovec iov[BUFFERS];
	uint8_t *next = data;
	struct block_request req;
	bool unsupported = false;
	int fd = memfd_create("disk", MFD_CLOEXEC);

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31 + i / 256);
	for (unsigned i = 0; i < BUFFERS; i++) {
		iov[i].iov_base = next;
		iov[i].iov_len = i == BUFFERS / 2 ? LONG : SHORT;
		next += iov[i].iov_len;
	}
	req = request(BLOCK_WRITE, iov, BUFFERS, 512);
	assert_true(block_try_now(fd, &req, true, &unsupported));
	assert_int_equal(req.result, 0);
	assert_int_equal(req.left, 0);
	assert_int_equal(pread(fd, found, sizeof(found), 512), sizeof(found));
	assert_memory_equal(found, data, sizeof(data));
	assert_int_equal(lseek(fd, 0, SEEK_END), 512 + sizeof(data));
	close(fd);
}

/* What does not fit any more is the engine's to find out, which goes on from
 * there. */
static void a_write_to_full_memory_is_left_to_the_engine(void **state)
{
	static uint8_t data[200000];
	struct iovec iov = { data, sizeof(data) };
	struct block_request req = request(BLOCK_WRITE, &iov, 1, 0);
	bool unsupported = false;
	int fd = memfd_create("disk", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(fd, 100000), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_false(block_try_now(fd, &req, true, &unsupported));
	assert_false(unsupported);
	assert_int_equal(req.left, sizeof(data) - req.offset);
	assert_ptr_equal(iov.iov_base, data + req.offset);
	close(fd);
}

int main(void)
{
#define TEST(name)                                                    \
	cmocka_unit_test_setup_teardown(name, setup_uring, teardown), \
		cmocka_unit_test_setup_teardown(name, setup_threads, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_read_arrives_and_signals),
		TEST(a_write_lands_and_a_flush_follows),
		TEST(a_range_becomes_zeroes_as_the_file_system_can),
		TEST(a_long_write_of_zeroes_reaches_its_end),
		TEST(what_a_file_cannot_do_says_so),
		TEST(a_read_past_the_end_goes_on_and_then_fails),
		TEST(a_bounced_request_moves_all_its_bytes),
		TEST(as_many_as_promised_fit_at_once),
		TEST(a_waiting_reap_drains_what_was_only_queued),
		TEST(another_thread_may_submit_and_end),
		TEST(a_long_request_moves_all_its_bytes),
		cmocka_unit_test_setup_teardown(
			one_turn_of_io_uring_moves_a_bounded_amount,
			setup_uring, teardown),
		cmocka_unit_test_setup_teardown(
			a_waiting_reap_does_not_wait_for_what_was_refused,
			setup_uring, teardown),
		cmocka_unit_test(a_transfer_is_cut_at_its_longest),
		cmocka_unit_test(steps_continue_retry_and_fail_as_they_should),
		cmocka_unit_test(a_cached_read_is_finished_on_the_spot),
		cmocka_unit_test(a_file_without_nowait_says_so),
		cmocka_unit_test(a_long_write_to_memory_lands_whole),
		cmocka_unit_test(a_write_to_full_memory_is_left_to_the_engine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
