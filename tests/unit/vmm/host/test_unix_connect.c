/* Connecting to Unix sockets by path, and what is said when that fails. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/host/unix_connect.h"

struct fixture {
	char folder[32];
	char path[64]; /* that of a socket in the folder */
	struct error err;
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .folder = "/tmp/onggi-XXXXXX" };
	if (!mkdtemp(f.folder))
		return -1;
	snprintf(f.path, sizeof(f.path), "%s/s_7", f.folder);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	return rmdir(f->folder);
}

static int listen_at(const char *path, int backlog)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)),
			 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static void assert_refused(struct fixture *f, char *path, const char *why)
{
	assert_int_equal(unix_connect(path, &f->err), -1);
	assert_int_equal(f->err.class, ERROR_IO);
	assert_string_equal(f->err.text, why);
}

static void a_server_is_connected_to(void **state)
{
	struct fixture *f = *state;
	int listener = listen_at(f->path, 1);
	int fd = unix_connect(f->path, &f->err);
	int other = accept(listener, NULL, NULL);
	char byte;

	assert_true(fd >= 0 && other >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(other, &byte, 1), 1);
	close(fd);
	close(other);
	close(listener);
}

static void nobody_at_the_path_is_told(void **state)
{
	struct fixture *f = *state;

	assert_refused(f, f->path, "no server listens");
	close(listen_at(f->path, 1)); /* a socket that its server has left */
	assert_refused(f, f->path, "no server listens");
	unlink(f->path);
	close(open(f->path, O_CREAT | O_WRONLY, 0600)); /* no socket */
	assert_refused(f, f->path, "no server listens");
}

static void a_busy_server_is_told(void **state)
{
	struct fixture *f = *state;
	int listener = listen_at(f->path, 0);
	int fd = unix_connect(f->path, &f->err);

	assert_true(fd >= 0);
	assert_refused(f, f->path, "the server is busy");
	close(fd);
	close(listener);
}

static void a_path_that_is_too_long_is_told(void **state)
{
	char path[109];

	memset(path, 'a', sizeof(path) - 1);
	path[108] = 0;
	assert_refused(*state, path, "File name too long");
	path[107] = 0; /* the longest */
	assert_refused(*state, path, "no server listens");
}

static void a_port_is_part_of_the_path(void **state)
{
	struct fixture *f = *state;
	int listener = listen_at(f->path, 8);
	char path[120];
	int fd;

	snprintf(path, sizeof(path), "%s/s", f->folder);
	assert_int_equal(unix_connect_port(path, 8), -1);
	fd = unix_connect_port(path, 7);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	close(listener);
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	assert_int_equal(unix_connect_port(path, UINT32_MAX), -1);
}

/* A path that is cut short must not lead to another socket. */
static void a_port_that_does_not_fit_leads_nowhere(void **state)
{
	struct fixture *f = *state;
	char path[120];
	int listener, fd;

	memset(path, 'a', sizeof(path));
	memcpy(path, f->folder, strlen(f->folder));
	path[strlen(f->folder)] = '/';
	snprintf(path + 105, sizeof(path) - 105, "_12");
	path[107] = 0; /* "..._1", the longest */
	listener = listen_at(path, 8);
	path[105] = 0;
	assert_int_equal(unix_connect_port(path, 12), -1);
	fd = unix_connect_port(path, 1);
	assert_true(fd >= 0);
	close(fd);
	path[105] = '_';
	assert_int_equal(unlink(path), 0);
	close(listener);
}

static void without_descriptors_there_is_no_connection(void **state)
{
	struct fixture *f = *state;
	int listener = listen_at(f->path, 8);
	char path[64];
	struct rlimit limit, low;

	log_set_level(LOG_ERROR);
	snprintf(path, sizeof(path), "%s/s", f->folder);
	getrlimit(RLIMIT_NOFILE, &limit);
	low = limit;
	low.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &low);
	assert_int_equal(unix_connect_port(path, 7), -1);
	assert_refused(f, f->path, "Too many open files");
	setrlimit(RLIMIT_NOFILE, &limit);
	close(listener);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_server_is_connected_to),
		TEST(nobody_at_the_path_is_told),
		TEST(a_busy_server_is_told),
		TEST(a_path_that_is_too_long_is_told),
		TEST(a_port_is_part_of_the_path),
		TEST(a_port_that_does_not_fit_leads_nowhere),
		TEST(without_descriptors_there_is_no_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
