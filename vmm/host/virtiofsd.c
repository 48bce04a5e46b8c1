#include "vmm/host/virtiofsd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "vmm/host/process.h"
#include "vmm/host/program.h"

#define END_MS 2000 /* for virtiofsd to end by itself */

/* A folder that virtiofsd cannot serve where it is gets mounted here, in a
 * namespace of its own. */
#define MOUNT_POINT "/tmp"

/* The virtiofsd in Rust serves without root, and read-only, when it is told to.
 * QEMU's gets namespaces for that: one of users in which it is root, one of
 * mounts in which the folder is read-only. */
static const char qemus_path[] = "/usr/lib/qemu/virtiofsd";

/* In PATH, or where distributions install it. */
bool virtiofsd_find(char path[static PATH_MAX])
{
	static const char *const places[] = {
		"/usr/libexec/virtiofsd",
		"/usr/lib/virtiofsd",
		qemus_path,
	};

	if (program_find("virtiofsd", path))
		return true;
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
		if (program_is_at(places[i])) {
			snprintf(path, PATH_MAX, "%s", places[i]);
			return true;
		}
	return false;
}

/* --- its command line --- */

struct folder {
	char dir[PATH_MAX];
	char *seen_as; /* dir or MOUNT_POINT: what virtiofsd serves */
	bool readonly;
};

#define ARGS_MAX 12
#define QEMU_OPTIONS ",log_level=err,announce_submounts"

struct command {
	char program[PATH_MAX];
	bool is_qemus;
	struct folder folder;
	char *args[ARGS_MAX];
	char options[sizeof("source=") + 2 * PATH_MAX + sizeof(QEMU_OPTIONS)];
};

/* "source=DIR,...": a backslash goes before each comma and backslash in DIR. */
static void write_qemu_options(char *to, const char *dir)
{
	to = stpcpy(to, "source=");
	for (; *dir; dir++) {
		if (*dir == ',' || *dir == '\\')
			*to++ = '\\';
		*to++ = *dir;
	}
	stpcpy(to, QEMU_OPTIONS);
}

static void make_command(struct command *command)
{
	const struct folder *folder = &command->folder;
	char **arg = command->args;

	command->is_qemus = strcmp(command->program, qemus_path) == 0;
	*arg++ = command->program;
	*arg++ = "--fd=3"; /* PROCESS_FD */
	if (command->is_qemus) {
		write_qemu_options(command->options, folder->seen_as);
		*arg++ = "-o";
		*arg++ = command->options;
	} else {
		*arg++ = "--shared-dir";
		*arg++ = folder->seen_as;
		*arg++ = "--log-level";
		*arg++ = "error";
		*arg++ = "--announce-submounts";
		if (folder->readonly)
			*arg++ = "--readonly";
	}
	*arg = NULL;
}

/* --- its socket --- */

/* Returns a connection to a socket that nobody else can connect to: the socket
 * and its folder are removed before this returns. virtiofsd wants to listen, so
 * that a socket pair will not do. */
static int connect_pair(int *listener, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *parent = getenv("TMPDIR");
	char dir[sizeof(address.sun_path) - 2];
	autoclose int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	autoclose int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	if (!parent || *parent != '/')
		parent = "/tmp";
	if (snprintf(dir, sizeof(dir), "%s/onggi-XXXXXX", parent) >=
	    (int)sizeof(dir))
		return error_set(err, ERROR_IO, ENAMETOOLONG, "%s", parent);
	if (!mkdtemp(dir))
		return error_set(err, ERROR_IO, errno,
				 "create a folder for a socket in %s", parent);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", dir);
	ok = server >= 0 && client >= 0 &&
	     bind(server, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	     listen(server, 1) == 0 &&
	     connect(client, (struct sockaddr *)&address, sizeof(address)) == 0;
	if (!ok)
		error_set(err, ERROR_IO, errno, "create a socket in %s", dir);
	unlink(address.sun_path);
	rmdir(dir);
	if (!ok)
		return -1;
	*listener = take_fd(&server);
	return take_fd(&client);
}

/* --- namespaces, made in its process --- */

static int write_file(const char *path, const char *text, struct error *err)
{
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return error_set(err, ERROR_IO, errno, "%s", path);
	return 0;
}

static int become_root(struct error *err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char uid_map[40], gid_map[40];

	snprintf(uid_map, sizeof(uid_map), "0 %u 1", uid);
	snprintf(gid_map, sizeof(gid_map), "0 %u 1", gid);
	if (unshare(CLONE_NEWUSER))
		return error_set(err, ERROR_IO, errno,
				 "virtiofsd needs root or user namespaces");
	if (write_file("/proc/self/uid_map", uid_map, err) ||
	    write_file("/proc/self/setgroups", "deny", err) ||
	    write_file("/proc/self/gid_map", gid_map, err))
		return -1;
	return 0;
}

static int make_namespaces(const void *wanted, struct error *err)
{
	const struct command *command = wanted;
	const struct folder *folder = &command->folder;
	bool readonly = command->is_qemus && folder->readonly;
	struct mount_attr attr = {
		.attr_set = readonly ? MOUNT_ATTR_RDONLY : 0,
	};

	if (command->is_qemus && geteuid() != 0 && become_root(err))
		return -1;
	if (!readonly && folder->seen_as == folder->dir)
		return 0;
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) ||
	    mount(folder->dir, folder->seen_as, NULL, MS_BIND | MS_REC, NULL) ||
	    mount_setattr(AT_FDCWD, folder->seen_as, AT_RECURSIVE, &attr,
			  sizeof(attr)))
		return error_set(err, ERROR_IO, errno, "%s", folder->dir);
	return 0;
}

/* --- life --- */

static int find_folder(struct folder *folder, const char *path,
		       struct error *err)
{
	struct stat st;

	if (!realpath(path, folder->dir) || stat(folder->dir, &st))
		return error_set(err, ERROR_IO, errno, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ERROR_IO, 0, "%s: not a folder", path);
	if (access(folder->dir, R_OK | X_OK))
		return error_set(err, ERROR_IO, errno, "%s", path);
	/* virtiofsd makes the folder its root, which "/" is already */
	folder->seen_as = strcmp(folder->dir, "/") == 0 ? MOUNT_POINT
							: folder->dir;
	return 0;
}

static void on_line(void *ctx, const char *line)
{
	struct virtiofsd *daemon = ctx;

	if (!*daemon->first)
		snprintf(daemon->first, sizeof(daemon->first), "%s", line);
	/* else the error is to tell */
	if (daemon->process.loop)
		log_guest(LOG_WARN, "share %s: virtiofsd: %s", daemon->tag,
			  line);
}

static int start(struct virtiofsd *daemon, const char *path, bool readonly,
		 struct error *err)
{
	struct command command = { .folder.readonly = readonly };
	struct process_options options = {
		.path = command.program,
		.argv = command.args,
		.prepare = make_namespaces,
		.wanted = &command,
		.said = on_line,
		.ctx = daemon,
	};
	autoclose int client = -1, listener = -1;

	if (find_folder(&command.folder, path, err))
		return -1;
	if (!virtiofsd_find(command.program))
		return error_set(err, ERROR_IO, 0,
				 "virtiofsd is not installed "
				 "(Debian package " VIRTIOFSD_PACKAGE ")");
	make_command(&command);
	client = connect_pair(&listener, err);
	if (client < 0)
		return -1;
	options.fd = listener;
	if (process_start(&daemon->process, &options, err))
		return -1;
	return take_fd(&client);
}

int virtiofsd_start(struct virtiofsd *daemon, const char *dir, const char *tag,
		    bool readonly, struct error *err)
{
	int fd;

	*daemon = (struct virtiofsd){ .tag = tag };
	fd = start(daemon, dir, readonly, err);
	return fd < 0 ? error_wrap(err, "share %s", tag) : fd;
}

void virtiofsd_stop(struct virtiofsd *daemon)
{
	process_stop(&daemon->process, END_MS);
}

int virtiofsd_watch(struct virtiofsd *daemon, struct event_loop *loop)
{
	return process_watch(&daemon->process, loop);
}

void virtiofsd_unwatch(struct virtiofsd *daemon)
{
	process_unwatch(&daemon->process);
}

void virtiofsd_explain(struct virtiofsd *daemon, struct error *err)
{
	process_listen(&daemon->process, END_MS);
	if (*daemon->first)
		error_set(err, ERROR_IO, 0, "share %s: virtiofsd: %s",
			  daemon->tag, daemon->first);
}
