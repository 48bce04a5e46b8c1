/* What the engines share, and which of them is chosen. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devices/block/block_engine.h"

/* A file of two sectors, filled with their number. */
static int file(void)
{
	char path[] = "/tmp/onggi-engine-XXXXXX";
	int fd = mkstemp(path);
	uint8_t data[1024] = { 0 };

	unlink(path);
	memset(data + 512, 1, 512);
	assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
	return fd;
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

/* --- requests --- */

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
	int fd = file();
	bool done = block_try_now(fd, &req, false, &unsupported);

	(void)state;
	close(fd);
	if (!done)
		skip(); /* a file system without RWF_NOWAIT */
	assert_int_equal(req.result, 0);
	assert_int_equal(data[0], 1);
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

/* --- which engine --- */

/* From now on this thread gets no ring, and with threads, no thread. */
static bool refuse_creation(bool threads)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
		.len = sizeof(code) / sizeof(code[0]),
		.filter = code,
	};

	if (!threads) { /* the next two allow */
		code[2].jt = 2;
		code[3].jt = 1;
	}
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

struct creation {
	struct block_engine_options options;
	bool threads, filtered;
	struct block_engine *engine;
	struct error err;
};

static void *create_refused(void *arg)
{
	struct creation *creation = arg;

	creation->filtered = refuse_creation(creation->threads);
	creation->engine =
		block_engine_create(&creation->options, &creation->err);
	return NULL;
}

static void create_where_refused(struct creation *creation)
{
	pthread_t thread;

	creation->options = (struct block_engine_options){
		.fd = file(), .event_fd = eventfd(0, 0), .max = 128
	};
	pthread_create(&thread, NULL, create_refused, creation);
	pthread_join(thread, NULL);
}

static void destroy(struct creation *creation)
{
	if (creation->engine)
		creation->engine->ops->destroy(creation->engine);
	close(creation->options.fd);
	close(creation->options.event_fd);
}

static void without_io_uring_a_thread_does_it(void **state)
{
	struct creation creation = { .threads = false };
	uint8_t data[512];
	struct iovec iov = { data, sizeof(data) };
	struct block_request req = request(BLOCK_READ, &iov, 1, 512);

	(void)state;
	create_where_refused(&creation);
	assert_non_null(creation.engine);
	block_engine_queue(creation.engine, &req);
	assert_ptr_equal(block_engine_reap(creation.engine, true), &req);
	assert_int_equal(req.result, 0);
	assert_int_equal(data[0], 1);
	destroy(&creation);
	if (!creation.filtered)
		skip(); /* no seccomp here */
}

static void without_threads_as_well_there_is_no_engine(void **state)
{
	struct creation creation = { .threads = true };

	(void)state;
	create_where_refused(&creation);
	destroy(&creation);
	if (!creation.filtered)
		skip();
	assert_null(creation.engine);
	assert_int_equal(creation.err.class, ERROR_IO);
	assert_string_equal(creation.err.text,
			    "thread for disk I/O: Resource temporarily "
			    "unavailable");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_transfer_is_cut_at_its_longest),
		cmocka_unit_test(steps_continue_retry_and_fail_as_they_should),
		cmocka_unit_test(a_cached_read_is_finished_on_the_spot),
		cmocka_unit_test(a_file_without_nowait_says_so),
		cmocka_unit_test(a_long_write_to_memory_lands_whole),
		cmocka_unit_test(a_write_to_full_memory_is_left_to_the_engine),
		cmocka_unit_test(without_io_uring_a_thread_does_it),
		cmocka_unit_test(without_threads_as_well_there_is_no_engine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
