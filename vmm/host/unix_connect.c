#include "vmm/host/unix_connect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/log.h"

/* The descriptor, or -errno. */
static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	autoclose int fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return take_fd(&fd);
}

int unix_connect(void *path, struct error *err)
{
	int fd = connect_to(path);

	switch (fd) {
	case -ENOENT:
	case -ECONNREFUSED:
		return error_io(err, "no server listens");
	case -EAGAIN:
		return error_io(err, "the server is busy");
	}
	return fd >= 0 ? fd : error_io(err, "%s", strerror(-fd));
}

int unix_connect_port(void *path, uint32_t port)
{
	/* snprintf() cuts a longer name to one that connect_to() refuses. */
	char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	int fd;

	snprintf(name, sizeof(name), "%s_%u", (char *)path, port);
	fd = connect_to(name);
	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
		log_guest(LOG_WARN, "vsock: open a socket: %s", strerror(-fd));
	return fd < 0 ? -1 : fd;
}
