#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "base/iov.h"
#include "base/le_types.h"
#include "base/log.h"

/* --- error --- */

static void an_error_carries_class_text_and_reason(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(error_set(&err, ERROR_IO, ENOENT, "open %s", "x"), -1);
	assert_int_equal(err.class, ERROR_IO);
	assert_string_equal(err.text, "open x: No such file or directory");
	assert_int_equal(error_wrap(&err, "disk%d", 0), -1);
	assert_string_equal(err.text,
			    "disk0: open x: No such file or directory");
	error_usage(&err, "plain");
	assert_string_equal(err.text, "plain");
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), want = strlen(end);

	return len >= want && strcmp(text + len - want, end) == 0;
}

static void an_error_that_does_not_fit_loses_its_middle(void **state)
{
	struct error err;
	char text[sizeof(err.text) + 20];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	for (size_t len = sizeof(err.text) - 30; len < sizeof(text); len++) {
		error_set(&err, ERROR_IO, ENOENT, "%.*s", (int)len, text);
		assert_true(strnlen(err.text, sizeof(err.text)) <
			    sizeof(err.text));
		assert_true(ends_with(err.text, ": No such file or directory"));
		error_wrap(&err, "%.*s", (int)len, text);
		assert_true(strnlen(err.text, sizeof(err.text)) <
			    sizeof(err.text));
		assert_true(ends_with(err.text, ": No such file or directory"));
	}
	error_set(&err, ERROR_IO, 0, "open %s: is a directory", text);
	error_wrap(&err, "disk0");
	assert_int_equal(strncmp(err.text, "disk0: open xxx", 15), 0);
	assert_non_null(strstr(err.text, "xxx...xxx"));
	assert_true(ends_with(err.text, "xxx: is a directory"));
	error_wrap(&err, "%s%s%s", text, text, text);
	assert_true(ends_with(err.text, "xxx: is a directory"));
}

/* --- log --- */

static void guest_lines_beyond_a_burst_are_dropped(void **state)
{
	struct log_limit limit = { 0 };
	int saved = dup(STDERR_FILENO), pipes[2];
	char text[8192];
	ssize_t len;
	int lines = 0;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	dup2(pipes[1], STDERR_FILENO);
	for (int i = 0; i < 3 * LOG_BURST; i++)
		log_write_limited(&limit, LOG_WARN, "line %d", i);
	log_write_limited(&limit, LOG_DEBUG, "below the threshold");
	dup2(saved, STDERR_FILENO);
	len = read(pipes[0], text, sizeof(text));
	for (ssize_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	assert_int_equal(lines, LOG_BURST);
	assert_int_equal(strncmp(text, "onggi: warn: line 0\n", 20), 0);
	close(saved);
	close(pipes[0]);
	close(pipes[1]);
}

static void a_line_shows_control_characters(void **state)
{
	int saved = dup(STDERR_FILENO), pipes[2];
	char text[200] = "";

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	dup2(pipes[1], STDERR_FILENO);
	log_warn("a\nb\t\x1b[31m\x7f ö");
	dup2(saved, STDERR_FILENO);
	assert_true(read(pipes[0], text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "onggi: warn: a\\nb\\x09\\x1b[31m\\x7f ö\n");
	close(saved);
	close(pipes[0]);
	close(pipes[1]);
}

/* --- guest memory --- */

static void guest_ranges_must_lie_inside_one_region(void **state)
{
	static uint8_t low[0x1000], high[0x1000];
	struct guest_mem mem = { 0 };

	(void)state;
	assert_int_equal(guest_mem_add(&mem, 0x1000, 0x1000, low), 0);
	assert_int_equal(guest_mem_add(&mem, 0x2000, 0x1000, high), 0);
	assert_ptr_equal(guest_range(&mem, 0x1000, 0x1000), low);
	assert_ptr_equal(guest_range(&mem, 0x1fff, 1), low + 0xfff);
	assert_null(guest_range(&mem, 0x1fff, 2)); /* adjacent, yet another */
	assert_null(guest_range(&mem, 0xfff, 1));
	assert_null(guest_range(&mem, 0x3000, 0));
	assert_null(guest_range(&mem, 0x3000, 1));
	assert_null(guest_range(&mem, UINT64_MAX, 1));
	assert_null(guest_range(&mem, 0x1800, UINT64_MAX));
	assert_null(guest_range(&mem, 0x1800, UINT64_MAX - 0x1800 + 1));
	assert_int_equal(guest_mem_size(&mem), 0x2000);
}

static void guest_copies_are_whole_or_not_at_all(void **state)
{
	static uint8_t ram[0x100];
	struct guest_mem mem = { 0 };
	uint32_t value = 0x12345678;

	(void)state;
	guest_mem_add(&mem, 0x1000, sizeof(ram), ram);
	assert_int_equal(guest_write(&mem, 0x10fe, &value, 4), -1);
	assert_int_equal(ram[0xfe], 0);
	assert_int_equal(guest_write(&mem, 0x10fc, &value, 4), 0);
	value = 0;
	assert_int_equal(guest_read(&mem, 0x10fd, &value, 4), -1);
	assert_int_equal(value, 0);
	assert_int_equal(guest_read(&mem, 0x10fc, &value, 4), 0);
	assert_int_equal(value, 0x12345678);
}

static void bad_regions_are_refused(void **state)
{
	static uint8_t ram[0x1000];
	struct guest_mem mem = { 0 };

	(void)state;
	assert_int_equal(guest_mem_add(&mem, 0, 0, ram), -1);
	assert_int_equal(guest_mem_add(&mem, UINT64_MAX, 2, ram), -1);
	assert_int_equal(guest_mem_add(&mem, 0x1000, 0x1000, ram), 0);
	assert_int_equal(guest_mem_add(&mem, 0x1fff, 1, ram), -1);
	assert_int_equal(guest_mem_add(&mem, 0, 0x1001, ram), -1);
	for (unsigned i = 1; i < GUEST_REGIONS_MAX; i++)
		assert_int_equal(guest_mem_add(&mem, 0x10000 * i, 1, ram), 0);
	assert_int_equal(guest_mem_add(&mem, 0x900000, 1, ram), -1);
}

static void regions_are_private_until_they_are_shared(void **state)
{
	static uint8_t ram[0x1000];
	struct guest_mem mem = { 0 };

	(void)state;
	guest_mem_add(&mem, 0, sizeof(ram), ram);
	guest_mem_add(&mem, 0x1000, sizeof(ram), ram);
	guest_mem_share(&mem, STDIN_FILENO, 0x3000);
	assert_int_equal(mem.regions[0].fd, -1);
	assert_int_equal(mem.regions[1].fd, STDIN_FILENO);
	assert_int_equal(mem.regions[1].offset, 0x3000);
}

/* --- iov --- */

static void an_iov_cursor_hands_out_pieces_where_they_lie(void **state)
{
	char a[] = "abc", b[] = "defgh";
	struct iovec iov[] = { { a, 3 }, { NULL, 0 }, { b, 5 } }, piece;
	struct iov_cursor cursor = iov_cursor(iov, 3);

	(void)state;
	piece = iov_next(&cursor, 100);
	assert_ptr_equal(piece.iov_base, a);
	assert_int_equal(piece.iov_len, 3);
	piece = iov_next(&cursor, 4);
	assert_ptr_equal(piece.iov_base, b);
	assert_int_equal(piece.iov_len, 4);
	piece = iov_next(&cursor, 4);
	assert_ptr_equal(piece.iov_base, b + 4);
	assert_int_equal(piece.iov_len, 1);
	assert_int_equal(iov_next(&cursor, 4).iov_len, 0);
}

static void an_iov_cursor_crosses_pieces_and_stops_at_the_end(void **state)
{
	char a[] = "abc", b[] = "defgh";
	struct iovec iov[] = { { a, 3 }, { NULL, 0 }, { b, 5 } };
	struct iov_cursor cursor = iov_cursor(iov, 3);
	char out[16] = { 0 };

	(void)state;
	assert_int_equal(iov_length(iov, 3), 8);
	assert_int_equal(iov_read(&cursor, out, 4), 4);
	assert_string_equal(out, "abcd");
	assert_int_equal(iov_write(&cursor, "XY", 2), 2);
	assert_string_equal(b, "dXYgh");
	assert_int_equal(iov_read(&cursor, out, 16), 2);
	assert_int_equal(iov_read(&cursor, out, 16), 0);
	assert_int_equal(iov_write(&cursor, "Z", 1), 0);
}

static void iov_pieces_are_skipped_and_listed(void **state)
{
	char a[3], b[5];
	struct iovec iov[] = { { a, 3 }, { NULL, 0 }, { b, 5 } };
	struct iov_cursor cursor = iov_cursor(iov, 3);
	struct iovec out[3];

	(void)state;
	assert_int_equal(iov_skip(&cursor, 2), 2);
	assert_int_equal(iov_take(&cursor, 3, out), 2);
	assert_ptr_equal(out[0].iov_base, a + 2);
	assert_int_equal(out[0].iov_len, 1);
	assert_ptr_equal(out[1].iov_base, b);
	assert_int_equal(out[1].iov_len, 2);
	assert_int_equal(iov_skip(&cursor, 1), 1);
	assert_int_equal(iov_take(&cursor, 16, out), 1);
	assert_ptr_equal(out[0].iov_base, b + 3);
	assert_int_equal(out[0].iov_len, 2);
	assert_int_equal(iov_take(&cursor, 16, out), 0);
	assert_int_equal(iov_skip(&cursor, 1), 0);
}

static void le_types_round_trip(void **state)
{
	le64_t v = le64(0x0102030405060708);

	(void)state;
	assert_int_equal(v.raw[0], 8);
	assert_int_equal(le64_get(v), 0x0102030405060708);
	assert_int_equal(le32_get(le32(0xfedcba98)), 0xfedcba98);
	assert_int_equal(le16_get(le16(0xfedc)), 0xfedc);
}

/* --- event loop --- */

struct probe {
	struct event_source source;
	struct event_loop *loop;
	struct probe *victim; /* removed from within ready */
	unsigned calls;
};

static void probe_ready(struct event_source *source, uint32_t events)
{
	struct probe *probe = (struct probe *)source;

	(void)events;
	probe->calls++;
	if (probe->victim)
		event_loop_remove(probe->loop, &probe->victim->source);
}

static struct probe probe_make(struct event_loop *loop, bool ready)
{
	return (struct probe){
		.source = { .fd = eventfd(ready, EFD_NONBLOCK),
			    .ready = probe_ready },
		.loop = loop,
	};
}

static struct event_loop *stopped_loop(void)
{
	struct error err;
	struct event_loop *loop = event_loop_create(&err);

	assert_non_null(loop);
	event_loop_stop(loop);
	return loop;
}

static void the_loop_calls_what_is_ready_and_only_that(void **state)
{
	struct event_loop *loop = stopped_loop();
	struct probe yes = probe_make(loop, true);
	struct probe no = probe_make(loop, false);

	(void)state;
	assert_int_equal(event_loop_add(loop, &yes.source, EPOLLIN), 0);
	assert_int_equal(event_loop_add(loop, &yes.source, EPOLLIN), 0);
	assert_int_equal(event_loop_add(loop, &no.source, EPOLLIN), 0);
	event_loop_run(loop);
	assert_int_equal(yes.calls, 1);
	assert_int_equal(no.calls, 0);
	assert_int_equal(event_loop_modify(loop, &no.source, EPOLLOUT), 0);
	event_loop_remove(loop, &yes.source);
	event_loop_remove(loop, &yes.source);
	event_loop_run(loop);
	assert_int_equal(yes.calls, 1);
	assert_int_equal(no.calls, 1);
	close(yes.source.fd);
	close(no.source.fd);
	event_loop_destroy(loop);
}

static void a_source_removed_by_another_is_not_called_in_its_batch(void **state)
{
	struct event_loop *loop = stopped_loop();
	struct probe a = probe_make(loop, true), b = probe_make(loop, true);

	(void)state;
	a.victim = &b;
	b.victim = &a;
	event_loop_add(loop, &a.source, EPOLLIN);
	event_loop_add(loop, &b.source, EPOLLIN);
	event_loop_run(loop);
	assert_int_equal(a.calls + b.calls, 1);
	close(a.source.fd);
	close(b.source.fd);
	event_loop_destroy(loop);
}

static void a_descriptor_that_epoll_refuses_is_an_error(void **state)
{
	struct event_loop *loop = stopped_loop();
	struct probe bad = { .source = { .fd = -1, .ready = probe_ready } };

	(void)state;
	assert_int_equal(event_loop_add(loop, &bad.source, EPOLLIN), -EBADF);
	assert_false(bad.source.active);
	event_loop_destroy(loop);
	event_loop_destroy(NULL);
}

struct shared {
	struct event_source source;
	pthread_mutex_t lock;
	unsigned calls;
};

static void shared_ready(struct event_source *source, uint32_t events)
{
	(void)events;
	((struct shared *)source)->calls++;
}

static void *run(void *loop)
{
	event_loop_run(loop);
	return NULL;
}

static void a_removal_by_another_thread_holds_once_it_returns(void **state)
{
	struct error err;
	struct event_loop *loop = event_loop_create(&err);
	struct shared shared = {
		.source = { .fd = eventfd(1, EFD_NONBLOCK),
			    .ready = shared_ready,
			    .lock = &shared.lock },
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, run, loop);
	for (int i = 0; i < 200; i++) {
		unsigned calls;

		pthread_mutex_lock(&shared.lock);
		event_loop_add(loop, &shared.source, EPOLLIN);
		pthread_mutex_unlock(&shared.lock);
		usleep(20);
		pthread_mutex_lock(&shared.lock);
		event_loop_remove(loop, &shared.source);
		calls = shared.calls;
		pthread_mutex_unlock(&shared.lock);
		usleep(20);
		pthread_mutex_lock(&shared.lock);
		assert_int_equal(shared.calls, calls);
		pthread_mutex_unlock(&shared.lock);
	}
	event_loop_stop(loop);
	pthread_join(thread, NULL);
	assert_int_not_equal(shared.calls, 0);
	close(shared.source.fd);
	event_loop_destroy(loop);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		TEST(an_error_carries_class_text_and_reason),
		TEST(an_error_that_does_not_fit_loses_its_middle),
		TEST(guest_lines_beyond_a_burst_are_dropped),
		TEST(a_line_shows_control_characters),
		TEST(guest_ranges_must_lie_inside_one_region),
		TEST(guest_copies_are_whole_or_not_at_all),
		TEST(bad_regions_are_refused),
		TEST(regions_are_private_until_they_are_shared),
		TEST(an_iov_cursor_crosses_pieces_and_stops_at_the_end),
		TEST(iov_pieces_are_skipped_and_listed),
		TEST(an_iov_cursor_hands_out_pieces_where_they_lie),
		TEST(le_types_round_trip),
		TEST(the_loop_calls_what_is_ready_and_only_that),
		TEST(a_source_removed_by_another_is_not_called_in_its_batch),
		TEST(a_descriptor_that_epoll_refuses_is_an_error),
		TEST(a_removal_by_another_thread_holds_once_it_returns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
