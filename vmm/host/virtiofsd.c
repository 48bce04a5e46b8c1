#include "vmm/host/virtiofsd.h"

#include <errno.h>
#include <fcntl.h>
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

#define END_MS 2000 /* for virtiofsd to end by itself */

/* Where virtiofsd's own mount namespace has a folder that virtiofsd cannot
 * serve at its real place. */
#define MOUNT_POINT "/tmp"

/* The virtiofsd in Rust runs without root and has an option to serve a folder
 * read-only. QEMU's can do neither, and gets two namespaces: one of users in
 * which it is root, one of mounts in which the folder is read-only. */
static const char qemus_path[] = "/usr/lib/qemu/virtiofsd";

/* In PATH, or where distributions install it. */
bool virtiofsd_find(char path[static PATH_MAX])
{
	static const char *const places[] = {
		"/usr/libexec/virtiofsd",
		"/usr/lib/virtiofsd",
		qemus_path,
	};

	if (process_find_program("virtiofsd", path))
		return true;
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
		if (process_is_program(places[i])) {
			snprintf(path, PATH_MAX, "%s", places[i]);
			return true;
		}
	return false;
}

/* --- its command line --- */

#define ARGS_MAX 12
#define QEMU_OPTIONS ",log_level=err,announce_submounts"

struct command {
	char program[PATH_MAX];
	bool is_qemus;
	bool readonly;
	char dir[PATH_MAX];
	char *seen_as; /* what virtiofsd serves: dir, or MOUNT_POINT */
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
	char **arg = command->args;

	command->is_qemus = strcmp(command->program, qemus_path) == 0;
	*arg++ = command->program;
	*arg++ = "--fd=3"; /* PROCESS_FD */
	if (command->is_qemus) {
		write_qemu_options(command->options, command->seen_as);
		*arg++ = "-o";
		*arg++ = command->options;
	} else {
		*arg++ = "--shared-dir";
		*arg++ = command->seen_as;
		*arg++ = "--log-level";
		*arg++ = "error";
		*arg++ = "--announce-submounts";
		if (command->readonly)
			*arg++ = "--readonly";
	}
	*arg = NULL;
}

/* --- its socket --- */

/* Returns one end of a connection and sets *listener to the socket at which the
 * other end waits to be accepted. virtiofsd insists on a listening socket, so
 * that a socket pair does not do. Nobody else can connect: this function
 * removes the socket's name and the folder around it. */
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

/* --- namespaces, which its process makes before it runs it --- */

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
				 "it needs root or user namespaces");
	if (write_file("/proc/self/uid_map", uid_map, err) ||
	    write_file("/proc/self/setgroups", "deny", err) ||
	    write_file("/proc/self/gid_map", gid_map, err))
		return -1;
	return 0;
}

static int make_namespaces(const void *wanted, struct error *err)
{
	const struct command *command = wanted;
	bool readonly = command->is_qemus && command->readonly;
	struct mount_attr attr = {
		.attr_set = readonly ? MOUNT_ATTR_RDONLY : 0,
	};

	if (command->is_qemus && geteuid() != 0 && become_root(err))
		return -1;
	if (!readonly && command->seen_as == command->dir)
		return 0;
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) ||
	    mount(command->dir, command->seen_as, NULL, MS_BIND | MS_REC,
		  NULL) ||
	    mount_setattr(AT_FDCWD, command->seen_as, AT_RECURSIVE, &attr,
			  sizeof(attr)))
		return error_set(err, ERROR_IO, errno, "%s", command->dir);
	return 0;
}

/* --- life --- */

static int find_folder(struct command *command, const char *path,
		       struct error *err)
{
	struct stat st;

	if (!realpath(path, command->dir) || stat(command->dir, &st))
		return error_set(err, ERROR_IO, errno, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return error_io(err, "%s: not a folder", path);
	if (access(command->dir, R_OK | X_OK))
		return error_set(err, ERROR_IO, errno, "%s", path);
	/* virtiofsd makes the folder its root, and fails if it is that already.
	 */
	command->seen_as = strcmp(command->dir, "/") == 0 ? MOUNT_POINT
							  : command->dir;
	return 0;
}

static void on_line(void *ctx, const char *line)
{
	struct virtiofsd *daemon = ctx;

	if (!*daemon->first)
		snprintf(daemon->first, sizeof(daemon->first), "%s", line);
	/* Until an event loop watches, virtiofsd_explain() reports the line. */
	if (daemon->process.loop)
		log_guest(LOG_WARN, "share %s: virtiofsd: %s", daemon->tag,
			  line);
}

int virtiofsd_start(struct virtiofsd *daemon, const char *dir, const char *tag,
		    bool readonly, struct error *err)
{
	struct command command = { .readonly = readonly };
	struct process_options options = {
		.path = command.program,
		.argv = command.args,
		.prepare = make_namespaces,
		.wanted = &command,
		.said = on_line,
		.ctx = daemon,
	};
	autoclose int client = -1, listener = -1;

	*daemon = (struct virtiofsd){ .tag = tag };
	if (find_folder(&command, dir, err))
		return -1;
	if (!virtiofsd_find(command.program))
		return error_io(err,
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

void virtiofsd_stop(struct virtiofsd *daemon)
{
	process_stop(&daemon->process, END_MS);
}

void virtiofsd_explain(struct virtiofsd *daemon, struct error *err)
{
	process_listen(&daemon->process, END_MS);
	if (*daemon->first)
		error_io(err, "virtiofsd: %s", daemon->first);
}
