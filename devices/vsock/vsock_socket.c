#include "devices/vsock/vsock_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LOCK_TRIES 100 /* of 10 ms */

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	return address;
}

static int open_stream(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Locks the folder of the socket. When several VMs start at once, only one of
 * them replaces a stale socket, and a socket that is bound but does not listen
 * yet is not taken for a stale one. Locking the folder leaves no file behind.
 * Where it cannot be locked, the VM starts without the lock. */
static int lock_folder(const char *path)
{
	autofree char *copy = strdup(path);
	autoclose int fd =
		copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
		     : -1;

	for (int i = 0; i < LOCK_TRIES && fd >= 0; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
			break;
		usleep(10000);
	}
	return take_fd(&fd);
}

/* Removes the file at path if it is a socket on which nobody listens. */
static int remove_stale(const char *path, struct error *err)
{
	struct sockaddr_un address = address_of(path);
	autoclose int fd = -1;
	struct stat st;

	if (lstat(path, &st))
		return error_set(err, ERROR_IO, errno, "vsock %s", path);
	if (!S_ISSOCK(st.st_mode))
		return error_io(err, "vsock %s: exists, and is not a socket",
				path);
	fd = open_stream();
	if (fd < 0)
		return error_set(err, ERROR_IO, errno, "vsock %s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ||
	    errno == EAGAIN || errno == EPROTOTYPE)
		return error_io(
			err, "vsock %s: another process has this socket", path);
	if (errno != ECONNREFUSED || unlink(path))
		return error_set(err, ERROR_IO, errno, "vsock %s", path);
	return 0;
}

/* Binds and listens. Sets *file to the file that the socket is. */
static int open_locked(const char *path, struct file_id *file,
		       struct error *err)
{
	struct sockaddr_un address = address_of(path);
	autoclose int fd = open_stream();
	struct stat st;
	int ret;

	if (fd < 0)
		return error_set(err, ERROR_IO, errno, "vsock %s", path);
	ret = bind(fd, (struct sockaddr *)&address, sizeof(address));
	if (ret && errno == EADDRINUSE) {
		if (remove_stale(path, err))
			return -1;
		ret = bind(fd, (struct sockaddr *)&address, sizeof(address));
	}
	if (ret)
		return error_set(err, ERROR_IO, errno, "vsock %s", path);
	if (listen(fd, SOMAXCONN) || lstat(path, &st)) {
		int errnum = errno;

		unlink(path);
		return error_set(err, ERROR_IO, errnum, "vsock %s", path);
	}
	*file = file_id_of(&st);
	return take_fd(&fd);
}

int vsock_socket_open(struct vsock_socket *socket, const char *path,
		      struct error *err)
{
	int lock = lock_folder(path);

	socket->path = path;
	socket->fd = open_locked(path, &socket->file, err);
	cleanup_close(&lock);
	return socket->fd < 0 ? -1 : 0;
}

void vsock_socket_close(struct vsock_socket *socket)
{
	if (socket->fd < 0)
		return;
	if (file_id_is_at(socket->file, socket->path))
		unlink(socket->path);
	cleanup_close(&socket->fd);
}
