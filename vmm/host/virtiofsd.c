#include "vmm/host/virtiofsd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/container_of.h"
#include "base/log.h"
#include "vmm/host/program.h"

#define LISTEN_FD 3 /* in the child */
#define END_MS 2000 /* for it to end by itself */

/* The one in Rust has its own way to live without root and to serve a folder
 * read-only. For QEMU's, namespaces are made here: one of users in which it is
 * root, one of mounts in which the folder is read-only. */
enum kind { RUST, QEMU };

/* Neither can make its root what is its root already: it sees the host's here,
 * in a namespace of mounts. */
#define ROOT_PLACE "/tmp"

struct program {
	enum kind kind;
	char path[PATH_MAX];
};

/* One that the user has, or where distributions put theirs. */
static bool find_program(struct program *program)
{
	static const struct {
		enum kind kind;
		const char *path;
	} places[] = {
		{ RUST, "/usr/libexec/virtiofsd" },
		{ RUST, "/usr/lib/virtiofsd" },
		{ QEMU, "/usr/lib/qemu/virtiofsd" },
	};

	program->kind = RUST;
	if (program_find("virtiofsd", program->path))
		return true;
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		if (!program_is_at(places[i].path))
			continue;
		snprintf(program->path, sizeof(program->path), "%s",
			 places[i].path);
		program->kind = places[i].kind;
		return true;
	}
	return false;
}

bool virtiofsd_find(char path[static PATH_MAX])
{
	struct program program;

	if (!find_program(&program))
		return false;
	memcpy(path, program.path, sizeof(program.path));
	return true;
}

/* --- its command line --- */

struct folder {
	char dir[PATH_MAX];
	char *place; /* where virtiofsd finds it */
	bool readonly;
};

#define ARGS_MAX 12
#define QEMU_OPTIONS ",log_level=err,announce_submounts"

struct command {
	char *args[ARGS_MAX];
	char options[sizeof("source=") + 2 * PATH_MAX + sizeof(QEMU_OPTIONS)];
};

/* "source=DIR,...", where a comma or backslash in DIR has a backslash before
 * it. */
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

static void make_command(struct command *command, struct program *program,
			 const struct folder *folder)
{
	char **arg = command->args;

	*arg++ = program->path;
	*arg++ = "--fd=3"; /* LISTEN_FD */
	if (program->kind == QEMU) {
		write_qemu_options(command->options, folder->place);
		*arg++ = "-o";
		*arg++ = command->options;
	} else {
		*arg++ = "--shared-dir";
		*arg++ = folder->place;
		*arg++ = "--log-level";
		*arg++ = "error";
		*arg++ = "--announce-submounts";
		if (folder->readonly)
			*arg++ = "--readonly";
	}
	*arg = NULL;
}

/* --- a socket that nobody else can connect to --- */

/* In a folder of its own, both of which are gone when this returns. */
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
				 "a folder for a socket in %s", parent);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", dir);
	ok = server >= 0 && client >= 0 &&
	     bind(server, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	     listen(server, 1) == 0 &&
	     connect(client, (struct sockaddr *)&address, sizeof(address)) == 0;
	if (!ok)
		error_set(err, ERROR_IO, errno, "a socket in %s", dir);
	unlink(address.sun_path);
	rmdir(dir);
	if (!ok)
		return -1;
	*listener = take_fd(&server);
	return take_fd(&client);
}

/* --- the child --- */

static void die(const char *what)
{
	dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
	_exit(127);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

static void become_root(uid_t uid, gid_t gid)
{
	char map[40];

	if (unshare(CLONE_NEWUSER))
		die("it needs root, or user namespaces");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_file("/proc/self/uid_map", map);
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", gid);
	write_file("/proc/self/gid_map", map);
}

static void place_folder(const char *dir, const char *place, bool readonly)
{
	struct mount_attr attr = {
		.attr_set = readonly ? MOUNT_ATTR_RDONLY : 0,
	};

	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) ||
	    mount(dir, place, NULL, MS_BIND | MS_REC, NULL) ||
	    mount_setattr(AT_FDCWD, place, AT_RECURSIVE, &attr, sizeof(attr)))
		die(dir);
}

/* As a program expects it that was started by a shell. */
static void reset_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
}

static void place_files(int listener, int log)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* out of the way of what it is copied to */
	listener = fcntl(listener, F_DUPFD_CLOEXEC, LISTEN_FD + 1);
	if (null < 0 || dup2(log, STDERR_FILENO) < 0 ||
	    dup2(log, STDOUT_FILENO) < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(listener, LISTEN_FD) < 0)
		die("files");
}

static void run_child(const struct program *program,
		      const struct command *command,
		      const struct folder *folder, pid_t parent)
{
	bool readonly = program->kind == QEMU && folder->readonly;
	uid_t uid = geteuid();

	/* the keys of a terminal are not for it */
	setsid();
	reset_signals();
	if (program->kind == QEMU && uid != 0)
		become_root(uid, getegid());
	if (readonly || folder->place != folder->dir)
		place_folder(folder->dir, folder->place, readonly);
	/* last, as a new user namespace forgets it */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(127);
	execv(program->path, command->args);
	die("exec");
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
	folder->place = strcmp(folder->dir, "/") == 0 ? ROOT_PLACE
						      : folder->dir;
	return 0;
}

static void log_ready(struct event_source *source, uint32_t events);

static int start(struct virtiofsd *daemon, const char *path, bool readonly,
		 struct error *err)
{
	struct folder folder = { .readonly = readonly };
	struct program program;
	struct command command;
	autoclose int client = -1, listener = -1, log_in = -1, log_out = -1;
	int log[2];
	pid_t parent = getpid();

	if (find_folder(&folder, path, err))
		return -1;
	if (!find_program(&program))
		return error_set(err, ERROR_IO, 0,
				 "virtiofsd is not installed "
				 "(Debian package " VIRTIOFSD_PACKAGE ")");
	make_command(&command, &program, &folder);
	client = connect_pair(&listener, err);
	if (client < 0)
		return -1;
	if (pipe2(log, O_CLOEXEC))
		return error_set(err, ERROR_IO, errno, "virtiofsd");
	log_out = log[0];
	log_in = log[1];
	fcntl(log_out, F_SETFL, O_NONBLOCK);
	daemon->pid = fork();
	if (daemon->pid == 0) {
		place_files(listener, log_in);
		run_child(&program, &command, &folder, parent);
	}
	if (daemon->pid < 0) {
		daemon->pid = 0;
		return error_set(err, ERROR_IO, errno, "virtiofsd");
	}
	daemon->log = (struct event_source){ .fd = take_fd(&log_out),
					     .ready = log_ready };
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
	struct pollfd end = { .events = POLLIN };

	if (!daemon->pid)
		return;
	end.fd = pidfd_open(daemon->pid, 0);
	if (end.fd < 0 || poll(&end, 1, END_MS) <= 0)
		kill(daemon->pid, SIGKILL);
	if (end.fd >= 0)
		close(end.fd);
	waitpid(daemon->pid, NULL, 0);
	close(daemon->log.fd);
	daemon->pid = 0;
}

/* --- what it says --- */

/* Adds what can be read to the line: 1 when that is complete, 0 when nothing
 * more is there, -1 at the end. The rest of what is too long is another
 * line. */
static int read_line(struct virtiofsd *daemon)
{
	char c;
	ssize_t got;

	while ((got = read(daemon->log.fd, &c, 1)) == 1) {
		if (c != '\n' && daemon->line_len + 1 < sizeof(daemon->line))
			daemon->line[daemon->line_len++] = c;
		if (c != '\n' && daemon->line_len + 1 < sizeof(daemon->line))
			continue;
		daemon->line[daemon->line_len] = '\0';
		daemon->line_len = 0;
		return 1;
	}
	return got < 0 && errno == EAGAIN ? 0 : -1;
}

/* One line per turn. */
static void log_ready(struct event_source *source, uint32_t events)
{
	struct virtiofsd *daemon = container_of(source, struct virtiofsd, log);
	int ret = read_line(daemon);

	(void)events;
	if (ret > 0)
		log_guest(LOG_WARN, "share %s: virtiofsd: %s", daemon->tag,
			  daemon->line);
	else if (ret < 0 && daemon->loop)
		event_loop_remove(daemon->loop, source);
}

int virtiofsd_watch(struct virtiofsd *daemon, struct event_loop *loop)
{
	daemon->loop = loop;
	return event_loop_add(loop, &daemon->log, EPOLLIN);
}

void virtiofsd_unwatch(struct virtiofsd *daemon)
{
	if (daemon->loop)
		event_loop_remove(daemon->loop, &daemon->log);
	daemon->loop = NULL;
}

void virtiofsd_explain(struct virtiofsd *daemon, struct error *err)
{
	struct pollfd log = { .fd = daemon->log.fd, .events = POLLIN };

	/* the first is the cause */
	while (poll(&log, 1, END_MS) > 0) {
		int ret = read_line(daemon);

		if (ret < 0)
			return;
		if (ret > 0 && *daemon->line) {
			error_set(err, ERROR_IO, 0, "share %s: virtiofsd: %s",
				  daemon->tag, daemon->line);
			return;
		}
	}
}
