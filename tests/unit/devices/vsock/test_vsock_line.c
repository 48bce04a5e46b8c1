#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/vsock/vsock_line.h"

struct fixture {
	int ours, theirs;
	struct vsock_line line;
	uint32_t port;
};

static int setup(void **state)
{
	static struct fixture f;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds))
		return -1;
	f = (struct fixture){ .ours = fds[0], .theirs = fds[1] };
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->ours);
	close(f->theirs);
	return 0;
}

static int read_after(struct fixture *f, const char *text)
{
	assert_int_equal(send(f->theirs, text, strlen(text), 0), strlen(text));
	return vsock_line_read(&f->line, f->ours, &f->port);
}

static void a_line_may_come_in_pieces(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(vsock_line_read(&f->line, f->ours, &f->port), 0);
	assert_int_equal(read_after(f, "CON"), 0);
	assert_int_equal(read_after(f, "NECT 5"), 0);
	assert_int_equal(read_after(f, "2"), 0);
	assert_int_equal(read_after(f, "\n"), 1);
	assert_int_equal(f->port, 52);
}

static void what_follows_stays_in_the_socket(void **state)
{
	struct fixture *f = *state;
	char rest[16];

	assert_int_equal(read_after(f, "CONNECT 1\nhello\nworld"), 1);
	assert_int_equal(f->port, 1);
	assert_int_equal(recv(f->ours, rest, sizeof(rest), 0), 11);
	assert_memory_equal(rest, "hello\nworld", 11);
}

static void any_case_and_a_carriage_return_will_do(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_after(f, "connect 4294967295\r\n"), 1);
	assert_int_equal(f->port, 0xffffffff);
	f->line.len = 0;
	assert_int_equal(read_after(f, "CONNECT 0\n"), 1);
	assert_int_equal(f->port, 0);
	f->line.len = 0;
	assert_int_equal(read_after(f, "CONNECT 00000000000000000000052\n"), 1);
	assert_int_equal(f->port, 52);
}

static void other_lines_are_none(void **state)
{
	static const char *const lines[] = {
		"\n",
		"CONNECT\n",
		"CONNECT \n",
		"CONNECT x\n",
		"CONNECT -1\n",
		"CONNECT +1\n",
		"CONNECT  1\n",
		" CONNECT 1\n",
		"CONNECT 1 \n",
		"CONNECT 1\r\r\n",
		"CONNECT 0x10\n",
		"CONNECT 4294967296\n",
		"CONNECT 18446744073709551616\n",
		"DISCONNECT 1\n",
		"GET / HTTP/1.0\r\n",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		f->line.len = 0;
		assert_int_equal(read_after(f, lines[i]), -EPROTO);
	}
}

static void a_line_without_an_end_is_not_waited_for(void **state)
{
	struct fixture *f = *state;
	char rest[64];

	assert_int_equal(read_after(f, "CONNECT 0000000000000000000000052\n"),
			 -EPROTO);
	/* and it did not read on */
	assert_int_equal(recv(f->ours, rest, sizeof(rest), 0), 2);
	assert_int_equal(vsock_line_read(&f->line, f->ours, &f->port), -EPROTO);
}

static void an_end_without_a_line_is_an_error(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_after(f, "CONNECT 5"), 0);
	shutdown(f->theirs, SHUT_WR);
	assert_int_equal(vsock_line_read(&f->line, f->ours, &f->port), -EPROTO);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_line_may_come_in_pieces),
		TEST(what_follows_stays_in_the_socket),
		TEST(any_case_and_a_carriage_return_will_do),
		TEST(other_lines_are_none),
		TEST(a_line_without_an_end_is_not_waited_for),
		TEST(an_end_without_a_line_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
