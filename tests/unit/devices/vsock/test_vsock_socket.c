#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/vsock/vsock_socket.h"

struct fixture {
	char folder[32];
	char path[64];
	struct error err;
};

static int setup(void **state)
{
	static struct fixture f;

	strcpy(f.folder, "/tmp/vsock-XXXXXX");
	if (!mkdtemp(f.folder))
		return -1;
	snprintf(f.path, sizeof(f.path), "%s/s", f.folder);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	return rmdir(f->folder); /* which says that nothing else is there */
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -errno;
	}
	return fd;
}

static void the_socket_is_there_until_it_is_closed(void **state)
{
	struct fixture *f = *state;
	struct vsock_socket s;
	struct stat st;
	int fd;

	assert_int_equal(vsock_socket_open(&s, f->path, &f->err), 0);
	assert_true(fcntl(s.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
	assert_true(file_id_is_at(s.file, f->path));
	assert_false(file_id_is_at(s.file, f->folder));
	fd = connect_to(f->path);
	assert_true(fd >= 0);
	close(fd);
	vsock_socket_close(&s);
	assert_int_equal(s.fd, -1);
	assert_int_equal(stat(f->path, &st), -1);
	vsock_socket_close(&s);
}

static void a_socket_in_use_is_refused(void **state)
{
	struct fixture *f = *state;
	struct vsock_socket s, other = { .fd = -1 };
	int fd;

	assert_int_equal(vsock_socket_open(&s, f->path, &f->err), 0);
	assert_int_equal(vsock_socket_open(&other, f->path, &f->err), -1);
	assert_non_null(strstr(f->err.text, f->path));
	assert_non_null(strstr(f->err.text, "another process"));
	assert_int_equal(f->err.class, ERROR_IO);
	assert_int_equal(other.fd, -1);
	/* the first one's is unharmed */
	fd = connect_to(f->path);
	assert_true(fd >= 0);
	close(fd);
	vsock_socket_close(&s);
}

static void a_socket_of_another_kind_is_refused(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct vsock_socket s;

	strcpy(address.sun_path, f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)),
			 0);
	assert_int_equal(vsock_socket_open(&s, f->path, &f->err), -1);
	assert_non_null(strstr(f->err.text, "another process"));
	close(fd);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct vsock_socket killed, s;
	int fd;

	assert_int_equal(vsock_socket_open(&killed, f->path, &f->err), 0);
	close(killed.fd);
	assert_int_equal(connect_to(f->path), -ECONNREFUSED);
	assert_int_equal(vsock_socket_open(&s, f->path, &f->err), 0);
	fd = connect_to(f->path);
	assert_true(fd >= 0);
	close(fd);
	vsock_socket_close(&s);
}

static void other_files_are_left_alone(void **state)
{
	struct fixture *f = *state;
	struct vsock_socket s;
	struct stat st;
	char text[8];
	int fd;

	fd = open(f->path, O_CREAT | O_RDWR, 0600);
	assert_int_equal(write(fd, "mine", 4), 4);
	assert_int_equal(vsock_socket_open(&s, f->path, &f->err), -1);
	assert_non_null(strstr(f->err.text, "not a socket"));
	assert_int_equal(pread(fd, text, sizeof(text), 0), 4);
	close(fd);
	unlink(f->path);
	/* nor is anything made where a link leads */
	assert_int_equal(symlink("elsewhere", f->path), 0);
	assert_int_equal(vsock_socket_open(&s, f->path, &f->err), -1);
	assert_int_equal(lstat(f->path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
}

static void only_the_own_file_is_removed(void **state)
{
	struct fixture *f = *state;
	struct vsock_socket s;
	struct stat st;

	assert_int_equal(vsock_socket_open(&s, f->path, &f->err), 0);
	unlink(f->path);
	close(open(f->path, O_CREAT | O_RDWR, 0600));
	vsock_socket_close(&s);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void a_folder_that_is_missing_is_named(void **state)
{
	struct fixture *f = *state;
	struct vsock_socket s;

	assert_int_equal(vsock_socket_open(&s, "/no/such/folder", &f->err), -1);
	assert_string_equal(f->err.text,
			    "vsock /no/such/folder: No such file "
			    "or directory");
}

static void the_longest_path_will_do(void **state)
{
	struct fixture *f = *state;
	char path[VSOCK_PATH_MAX + 1];
	struct vsock_socket s;
	struct sockaddr_un longest;
	size_t len;

	memset(path, 'x', VSOCK_PATH_MAX);
	path[VSOCK_PATH_MAX] = 0;
	len = strlen(f->path);
	memcpy(path, f->path, len);
	assert_int_equal(vsock_socket_open(&s, path, &f->err), 0);
	vsock_socket_close(&s);
	assert_int_equal(snprintf(longest.sun_path, sizeof(longest.sun_path),
				  "%s_4294967295", path),
			 sizeof(longest.sun_path) - 1);
}

/* All find the same stale socket; one may have it. */
static void *open_one(void *arg)
{
	const char *path = arg;
	struct vsock_socket *s = malloc(sizeof(*s));
	struct error err;

	s->fd = -1;
	vsock_socket_open(s, path, &err);
	return s;
}

static void of_several_that_start_at_once_one_wins(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[8];
	struct vsock_socket *s[8], killed;
	int winner = -1, fd;

	assert_int_equal(vsock_socket_open(&killed, f->path, &f->err), 0);
	close(killed.fd);
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, open_one, f->path);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], (void **)&s[i]);
	for (int i = 0; i < 8; i++) {
		if (s[i]->fd < 0)
			continue;
		assert_int_equal(winner, -1);
		winner = i;
	}
	assert_int_not_equal(winner, -1);
	fd = connect_to(f->path);
	assert_true(fd >= 0);
	close(fd);
	for (int i = 0; i < 8; i++) {
		vsock_socket_close(s[i]);
		free(s[i]);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_socket_is_there_until_it_is_closed),
		TEST(a_socket_in_use_is_refused),
		TEST(a_socket_of_another_kind_is_refused),
		TEST(a_stale_socket_is_replaced),
		TEST(other_files_are_left_alone),
		TEST(only_the_own_file_is_removed),
		TEST(a_folder_that_is_missing_is_named),
		TEST(the_longest_path_will_do),
		TEST(of_several_that_start_at_once_one_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
