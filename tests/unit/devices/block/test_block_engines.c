/* What both engines do: every test runs on each of them. */
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

#define FILE_SIZE 65536

struct fixture {
	block_engine_create_fn *create;
	int fd, event_fd;
	struct block_engine *engine;
};

static int setup_on(void **state, block_engine_create_fn *create, int fd)
{
	static struct fixture f;
	struct block_engine_options options = { .max = 128 };
	uint8_t data[FILE_SIZE];
	struct error err;

	f.create = create;
	f.fd = fd;
	for (int i = 0; i < FILE_SIZE; i++)
		data[i] = (uint8_t)(i / 512);
	if (write(f.fd, data, sizeof(data)) != sizeof(data))
		return -1;
	f.event_fd = eventfd(0, EFD_NONBLOCK);
	options.fd = f.fd;
	options.event_fd = f.event_fd;
	f.engine = create(&options, &err);
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
	return setup_with(state, block_thread_create);
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

	while (!(req = block_engine_reap(f->engine, false))) {
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

	block_engine_queue(f->engine, &req);
	block_engine_submit(f->engine);
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
	block_engine_queue(f->engine, &req);
	block_engine_submit(f->engine);
	assert_ptr_equal(wait_event(f), &req);
	assert_int_equal(req.result, 0);
	block_engine_queue(f->engine, &flush);
	block_engine_submit(f->engine);
	assert_ptr_equal(wait_event(f), &flush);
	assert_int_equal(flush.result, 0);
	assert_int_equal(pread(f->fd, back, 512, 1024), 512);
	assert_memory_equal(back, data, 512);
}

static int carry_out(struct fixture *f, enum block_op op, uint64_t offset,
		     size_t len)
{
	struct block_request req = { .op = op, .offset = offset, .left = len };

	block_engine_queue(f->engine, &req);
	block_engine_submit(f->engine);
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

	block_engine_queue(f->engine, &req);
	block_engine_submit(f->engine);
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
	block_engine_queue(f->engine, &req);
	block_engine_submit(f->engine);
	assert_ptr_equal(wait_event(f), &req);
	assert_int_equal(req.result, 0);
	free(req.bounce);
	req = request(BLOCK_READ, &in_iov, 1, 512);
	assert_int_equal(block_request_bounce(&req, 1), 0);
	block_engine_queue(f->engine, &req);
	block_engine_submit(f->engine);
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
		block_engine_queue(f->engine, &reqs[i]);
	}
	block_engine_submit(f->engine);
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

	block_engine_queue(f->engine, &req);
	block_engine_queue(f->engine, &flush);
	f->engine->draining = true;
	assert_non_null(block_engine_reap(f->engine, true));
	assert_non_null(block_engine_reap(f->engine, true));
	assert_null(block_engine_reap(f->engine, true));
	assert_int_equal(data[0], 1);
}

/* A second file, which begins with this byte. */
static int another_file(uint8_t byte)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, FILE_SIZE), 0);
	assert_int_equal(pwrite(fd, &byte, 1, 0), 1);
	return fd;
}

static uint8_t read_first_byte(struct fixture *f)
{
	uint8_t data[512];
	struct iovec iov = { data, sizeof(data) };
	struct block_request req = request(BLOCK_READ, &iov, 1, 0);

	block_engine_queue(f->engine, &req);
	block_engine_submit(f->engine);
	assert_ptr_equal(wait_event(f), &req);
	assert_int_equal(req.result, 0);
	return data[0];
}

static void requests_go_to_the_file_that_was_set_last(void **state)
{
	struct fixture *f = fixture_of(state);
	uint8_t data[512], old;
	struct iovec iov = { data, sizeof(data) };

	memset(data, 0xee, sizeof(data));
	for (uint8_t i = 1; i <= 5; i++) {
		struct block_request req = request(BLOCK_WRITE, &iov, 1, 0);
		int fd = another_file(i), last = f->fd;

		assert_int_equal(block_engine_set_file(f->engine, fd), 0);
		f->fd = fd;
		assert_int_equal(read_first_byte(f), i);
		block_engine_queue(f->engine, &req);
		block_engine_submit(f->engine);
		assert_ptr_equal(wait_event(f), &req);
		assert_int_equal(req.result, 0);
		assert_int_equal(carry_out(f, BLOCK_FLUSH, 0, 0), 0);
		assert_int_equal(read_first_byte(f), 0xee);
		/* no request went to the one before */
		assert_int_equal(pread(last, &old, 1, 0), 1);
		assert_int_equal(old, i == 1 ? 0 : 0xee);
		assert_int_equal(pwrite(last, "", 1, 0), 1);
		assert_int_equal(read_first_byte(f), 0xee);
		close(last);
	}
}

/* The write end of a pipe tells whether anybody has the read end. */
static void the_last_file_is_let_go_of(void **state)
{
	struct fixture *f = fixture_of(state);
	struct pollfd end;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(block_engine_set_file(f->engine, fds[0]), 0);
	close(fds[0]);
	assert_int_equal(block_engine_set_file(f->engine, f->fd), 0);
	end = (struct pollfd){ .fd = fds[1] };
	/* kernels before 6.3 take up to a second */
	assert_int_equal(
		poll(&end, 1, f->create == block_thread_create ? 0 : 5000), 1);
	assert_int_equal(end.revents, POLLERR);
	assert_int_equal(read_first_byte(f), 0);
	close(fds[1]);
}

/* io_uring does so if the descriptor is no file. A thread takes any number. */
static void a_file_that_is_refused_leaves_the_one_before(void **state)
{
	struct fixture *f = fixture_of(state);

	for (int i = 0; i < 3; i++) {
		assert_int_equal(block_engine_set_file(f->engine, 1 << 30),
				 -EBADF);
		assert_int_equal(carry_out(f, BLOCK_FLUSH, 0, 0), 0);
		assert_int_equal(read_first_byte(f), 0);
	}
}

static void no_file_is_set_under_a_request(void **state)
{
	struct fixture *f = fixture_of(state);
	struct block_request flush = { .op = BLOCK_FLUSH };

	block_engine_queue(f->engine, &flush);
	assert_int_equal(block_engine_set_file(f->engine, f->fd), -EBUSY);
	assert_ptr_equal(block_engine_reap(f->engine, true), &flush);
	assert_int_equal(block_engine_set_file(f->engine, f->fd), 0);
}

static void *submit_elsewhere(void *arg)
{
	struct fixture *f = arg;

	block_engine_submit(f->engine);
	return NULL;
}

static void another_thread_may_submit_and_end(void **state)
{
	struct fixture *f = fixture_of(state);
	uint8_t data[512];
	struct iovec iov = { data, 512 };
	struct block_request req = request(BLOCK_READ, &iov, 1, 1024);
	pthread_t thread;

	block_engine_queue(f->engine, &req);
	pthread_create(&thread, NULL, submit_elsewhere, f);
	pthread_join(thread, NULL);
	assert_ptr_equal(block_engine_reap(f->engine, true), &req);
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
	block_engine_queue(engine, refused->req);
	block_engine_submit(engine);
	refused->got = block_engine_reap(engine, true);
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
	block_engine_queue(f->engine, &req);
	block_engine_submit(f->engine);
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
		block_engine_queue(f->engine, &reqs[i]);
	}
	block_engine_submit(f->engine);
	while (done < 16) {
		struct pollfd poll_fd = { .fd = f->event_fd, .events = POLLIN };

		assert_int_equal(poll(&poll_fd, 1, 5000), 1);
		assert_int_equal(read(f->event_fd, &count, 8), 8);
		for (turn = 0; block_engine_reap(f->engine, false); turn++)
			;
		/* what was started by now is two turns at the most */
		assert_in_range(turn, 0, done ? 8 : 4);
		done += turn;
	}
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
		TEST(requests_go_to_the_file_that_was_set_last),
		TEST(the_last_file_is_let_go_of),
		TEST(no_file_is_set_under_a_request),
		cmocka_unit_test_setup_teardown(
			a_file_that_is_refused_leaves_the_one_before,
			setup_uring, teardown),
		TEST(another_thread_may_submit_and_end),
		TEST(a_long_request_moves_all_its_bytes),
		cmocka_unit_test_setup_teardown(
			one_turn_of_io_uring_moves_a_bounded_amount,
			setup_uring, teardown),
		cmocka_unit_test_setup_teardown(
			a_waiting_reap_does_not_wait_for_what_was_refused,
			setup_uring, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
