#include "vmm/host/passt.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "devices/net/net_stream.h"
#include "devices/net/vhost_user_net.h"
#include "vmm/config/publish.h"
#include "vmm/host/program.h"

#define NAME "net user: passt" /* of the connection, in messages */
#define END_MS 2000	       /* for it to say what went wrong */

#define VHOST_USER_OPTION "--vhost-user"

/* Where passt finds its end of the socket pair. */
#define STREAM_FD 3

/* The guest's addresses are the same on every host, and whether it has a
 * network or none: passt would take the host's own, and refuse to start where
 * there is no default route. IPv4 is as in QEMU's user network, IPv6 in a
 * prefix of the kind that everybody makes up (RFC 4193): its 40 bits are
 * "onggi". */
static char *const options[] = {
	"--quiet",
	"--foreground",
	"--fd=3", /* STREAM_FD */
	/* Says its process id, once it is ready, among its messages. Another
	 * descriptor would not do: newer ones close what they do not know. */
	"--pid=/proc/self/fd/2",
	"--mac-addr=02:00:00:00:00:02",
	"--address=10.0.2.15",
	"--netmask=24",
	"--gateway=10.0.2.2",
	"--address=fd6f:6e67:6769::15",
	"--gateway=fd6f:6e67:6769::2",
};

/* Those, and pairs of an option and its value. */
#define PAIRS_MAX (2 + CONFIG_PUBLISH_MAX)

struct args {
	char *words[1 + ARRAY_SIZE(options) + 1 + 2 * PAIRS_MAX + 1];
	unsigned count;
	char values[PAIRS_MAX][INET6_ADDRSTRLEN + sizeof("/65535:65535")];
	unsigned value_count;
};

struct passt {
	pid_t pid;
	bool ready;
	bool vhost_user;
	int fd;			      /* until it is connected by that; -1 */
	struct net_stream *stream;    /* NULL: by vhost-user */
	struct event_source messages; /* its stderr */
	struct event_loop *loop;      /* NULL while nobody watches */
	void (*failed)(void *ctx, const char *why);
	void *ctx;
	unsigned length; /* of line, so far */
	char line[200];
	char last[200]; /* the last one that said something */
};

/* --- which one --- */

/* Its text of help has the word. To look for that in the file takes 0.1 ms, to
 * have it said 2 ms of each start. */
static bool knows_vhost_user(const char *path)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	bool found;
	void *text;

	if (fd < 0 || fstat(fd, &st) || st.st_size <= 0)
		return false;
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		return false;
	found = memmem(text, (size_t)st.st_size, VHOST_USER_OPTION,
		       strlen(VHOST_USER_OPTION)) != NULL;
	munmap(text, (size_t)st.st_size);
	return found;
}

bool passt_find(char path[static PATH_MAX], bool *vhost_user)
{
	if (!program_find("passt", path))
		return false;
	*vhost_user = knows_vhost_user(path);
	return true;
}

/* --- arguments --- */

__attribute__((format(printf, 3, 4))) static void
add_pair(struct args *args, char *option, const char *fmt, ...)
{
	char *value = args->values[args->value_count++];
	va_list list;

	va_start(list, fmt);
	vsnprintf(value, sizeof(args->values[0]), fmt, list);
	va_end(list);
	args->words[args->count++] = option;
	args->words[args->count++] = value;
}

/* The interface from which passt takes what it was not given, which for IPv6 is
 * a link-local address: the one of the default route. lo has none of these,
 * but serves where there is no IPv6; the route that refuses what no other
 * takes is lo's, too. */
static void find_interface(char name[static IF_NAMESIZE])
{
	static const char anywhere[] = "00000000000000000000000000000000 00 ";
	FILE *file = fopen("/proc/net/ipv6_route", "re");
	char line[200];

	snprintf(name, IF_NAMESIZE, "lo");
	while (file && strcmp(name, "lo") == 0 &&
	       fgets(line, sizeof(line), file)) {
		const char *last = strrchr(line, ' ');

		if (last && strncmp(line, anywhere, strlen(anywhere)) == 0)
			snprintf(name, IF_NAMESIZE, "%.*s",
				 (int)strcspn(last + 1, "\n"), last + 1);
	}
	if (file)
		fclose(file);
}

static int fill_args(struct args *args, const struct config_net *net,
		     bool vhost_user, struct error *err)
{
	char interface[IF_NAMESIZE];
	struct publish port;

	*args = (struct args){ .words[0] = "passt", .count = 1 };
	for (unsigned i = 0; i < ARRAY_SIZE(options); i++)
		args->words[args->count++] = options[i];
	if (vhost_user)
		args->words[args->count++] = VHOST_USER_OPTION;
	find_interface(interface);
	add_pair(args, "--interface", "%s", interface);
	add_pair(args, "--mtu", "%u",
		 net->mtu ? (unsigned)net->mtu : CONFIG_USER_MTU);
	for (unsigned i = 0; i < net->publish_count; i++) {
		if (publish_parse(&port, net->publish[i], err))
			return -1;
		add_pair(args, port.udp ? "--udp-ports" : "--tcp-ports",
			 "%s/%u:%u", port.address, port.host, port.guest);
	}
	return 0;
}

/* --- start --- */

/* Signals as a program expects them: onggi blocks and ignores some. A session
 * of its own keeps it out of reach of the terminal's, as ^C. */
static int set_attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	return posix_spawnattr_setsigmask(attr, &none) |
	       posix_spawnattr_setsigdefault(attr, &all) |
	       posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSID |
						      POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
}

/* 0 or an error number. All other descriptors are closed by exec. */
static int spawn(pid_t *pid, const char *path, char *const argv[], int stream,
		 int messages)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int ret;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	ret = set_attributes(&attr);
	ret |= posix_spawn_file_actions_addopen(&actions, STDIN_FILENO,
						"/dev/null", O_RDONLY, 0);
	ret |= posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO,
						"/dev/null", O_WRONLY, 0);
	ret |= posix_spawn_file_actions_adddup2(&actions, messages,
						STDERR_FILENO);
	ret |= posix_spawn_file_actions_adddup2(&actions, stream, STREAM_FD);
	if (!ret)
		ret = posix_spawn(pid, path, &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return ret;
}

static int make_ends(int stream[2], int messages[2], struct error *err)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream))
		return error_set(err, ERROR_IO, errno, "passt");
	/* It must not wait for us to read what it says; and opens its stderr
	 * once more, as another user where root starts it. */
	if (pipe2(messages, O_CLOEXEC | O_NONBLOCK) ||
	    fchmod(messages[1], 0622))
		return error_set(err, ERROR_IO, errno, "passt");
	return 0;
}

static int start(struct passt *passt, const struct config_net *net,
		 struct error *err)
{
	int stream[2] = { -1, -1 }, messages[2] = { -1, -1 };
	char path[PATH_MAX];
	struct args args;
	int ret;

	if (!passt_find(path, &passt->vhost_user))
		return error_set(err, ERROR_IO, 0,
				 "passt is not installed (Debian package "
				 "passt)");
	passt->vhost_user &= !config_net_needs_frames(net);
	ret = make_ends(stream, messages, err);
	if (ret == 0)
		ret = fill_args(&args, net, passt->vhost_user, err);
	if (ret == 0) {
		ret = spawn(&passt->pid, path, args.words, stream[1],
			    messages[1]);
		if (ret)
			error_set(err, ERROR_IO, ret, "%s", path);
	}
	cleanup_close(&stream[1]);
	cleanup_close(&messages[1]);
	passt->messages.fd = messages[0];
	passt->fd = stream[0];
	if (ret || passt->vhost_user)
		return ret ? -1 : 0;
	passt->stream = net_stream_create(take_fd(&passt->fd), "passt", err);
	return passt->stream ? 0 : -1;
}

struct passt *passt_start(const struct config_net *net, struct error *err)
{
	struct passt *passt = calloc(1, sizeof(*passt));

	if (!passt) {
		error_set(err, ERROR_IO, ENOMEM, "passt");
		return NULL;
	}
	passt->fd = -1;
	passt->messages = (struct event_source){ .fd = -1 };
	if (start(passt, net, err)) {
		passt_stop(passt);
		return NULL;
	}
	return passt;
}

bool passt_is_vhost_user(const struct passt *passt)
{
	return passt->vhost_user;
}

struct net_backend *passt_backend(struct passt *passt)
{
	return net_stream_backend(passt->stream);
}

void passt_stop(struct passt *passt)
{
	if (!passt)
		return;
	net_stream_destroy(passt->stream);
	cleanup_close(&passt->fd);
	/* it would end by itself, but who started us may look around now */
	if (passt->pid > 0) {
		kill(passt->pid, SIGKILL);
		while (waitpid(passt->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	cleanup_close(&passt->messages.fd);
	free(passt);
}

/* --- messages --- */

/* glibc's syslog() says so where there is nobody to hear it. */
static bool is_noise(const char *line)
{
	return strncmp(line, "Failed to send ", 15) == 0;
}

static void take_line(struct passt *passt)
{
	char id[20];

	passt->line[passt->length] = '\0';
	passt->length = 0;
	snprintf(id, sizeof(id), "%d", (int)passt->pid);
	if (strcmp(passt->line, id) == 0) {
		passt->ready = true;
		log_debug("passt: ready");
	} else if (passt->line[0] && !is_noise(passt->line)) {
		log_guest(LOG_INFO, "passt: %s", passt->line);
		memcpy(passt->last, passt->line, sizeof(passt->last));
	}
}

/* What does not fit into a line is left out. */
static void take_text(struct passt *passt, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			take_line(passt);
		else if (passt->length < sizeof(passt->line) - 1)
			passt->line[passt->length++] = text[i];
	}
}

/* False when there are no more to come. */
static bool read_messages(struct passt *passt)
{
	char text[512];
	ssize_t len = read(passt->messages.fd, text, sizeof(text));

	if (len > 0)
		take_text(passt, text, (size_t)len);
	return len > 0 || (len < 0 && (errno == EAGAIN || errno == EINTR));
}

static const char *last_words(const struct passt *passt)
{
	return passt->last[0] ? passt->last : "ended at once";
}

static void messages_ready(struct event_source *source, uint32_t events)
{
	struct passt *passt = container_of(source, struct passt, messages);

	(void)events;
	if (read_messages(passt))
		return;
	passt_unwatch(passt);
	if (!passt->ready)
		passt->failed(passt->ctx, last_words(passt));
}

int passt_watch(struct passt *passt, struct event_loop *loop,
		void (*failed)(void *ctx, const char *why), void *ctx,
		struct error *err)
{
	int ret;

	passt->messages.ready = messages_ready;
	passt->loop = loop;
	passt->failed = failed;
	passt->ctx = ctx;
	ret = event_loop_add(loop, &passt->messages, EPOLLIN);
	return ret ? error_set(err, ERROR_IO, -ret, "passt") : 0;
}

void passt_unwatch(struct passt *passt)
{
	if (passt->loop)
		event_loop_remove(passt->loop, &passt->messages);
	passt->loop = NULL;
}

/* --- vhost-user --- */

/* Without its connection it ends, and knows why better than who speaks to it;
 * one that lives on may say more without end. */
static void explain(struct passt *passt, struct error *err)
{
	struct pollfd in = { .fd = passt->messages.fd, .events = POLLIN };
	int64_t end = clock_ms() + END_MS, left;

	while ((left = end - clock_ms()) > 0 && poll(&in, 1, (int)left) > 0)
		if (!read_messages(passt)) {
			error_set(err, ERROR_IO, 0, NAME ": %s",
				  last_words(passt));
			return;
		}
}

struct vhost_user *passt_connect(struct passt *passt, struct error *err)
{
	const struct vhost_user_options wanted = {
		.kind = &vhost_user_net_kind,
		.name = NAME,
		.fd = take_fd(&passt->fd),
	};
	struct vhost_user *conn = vhost_user_create(&wanted, err);

	if (!conn) {
		error_wrap(err, NAME);
		explain(passt, err);
	}
	return conn;
}
