#include "vmm/host/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Opens and locks the file. Sets *id. */
static int open_locked(const char *path, struct file_id *id, struct error *err)
{
	autoclose int fd =
		open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0644);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return error_set(err, ERROR_IO, errno, "pidfile %s", path);
	if (!S_ISREG(st.st_mode))
		return error_io(err, "pidfile %s: not a regular file", path);
	*id = file_id_of(&st);
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return take_fd(&fd);
	if (errno != EAGAIN && errno != EACCES)
		return error_set(err, ERROR_IO, errno, "pidfile %s", path);
	return error_io(err, "pidfile %s: another running VM has locked it",
			path);
}

/* Accepts an old pidfile. The user has named any other file by mistake. */
static int check_old_content(int fd, const char *path, struct error *err)
{
	char text[64];
	ssize_t len = pread(fd, text, sizeof(text), 0);

	if (len < 0)
		return error_set(err, ERROR_IO, errno, "pidfile %s", path);
	for (ssize_t i = 0; i < len; i++)
		if (!strchr("0123456789\n", text[i]) || !text[i])
			return error_io(err,
					"pidfile %s: the file exists and does "
					"not hold a process id",
					path);
	return 0;
}

int pidfile_write(const char *path, struct own_files *files, struct error *err)
{
	struct own_file file = { .use = "the pidfile", .removed = path };
	autoclose int fd = -1;

	if (own_files_refuse(files, path, err))
		return error_wrap(err, "pidfile");
	do {
		cleanup_close(&fd);
		fd = open_locked(path, &file.id, err);
		if (fd < 0)
			return -1;
		/* Its owner may have removed it between open and lock. */
	} while (!file_id_is_at(file.id, path));
	if (check_old_content(fd, path, err))
		return -1;
	if (ftruncate(fd, 0) || dprintf(fd, "%d\n", getpid()) < 0) {
		int errnum = errno;

		unlink(path);
		return error_set(err, ERROR_IO, errnum, "pidfile %s", path);
	}
	own_files_add(files, &file);
	return take_fd(&fd);
}
