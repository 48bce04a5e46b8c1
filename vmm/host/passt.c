#include "vmm/host/passt.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "devices/net/net_stream.h"
#include "devices/net/vhost_user_net.h"
#include "vmm/config/publish.h"
#include "vmm/host/process.h"
#include "vmm/host/program.h"

#define NAME "net user: passt" /* of the connection, in messages */
#define END_MS 2000	       /* for passt to say what went wrong */

#define VHOST_USER_OPTION "--vhost-user"
#define SYSLOG_FAILS "Failed to send " /* syslog(3), when nobody listens */

/* The guest has the same addresses on every host. Without these options passt
 * would give it the host's own, and would not start on a host without a default
 * route. IPv4 is as in QEMU's user network. IPv6 is a unique local prefix
 * (RFC 4193) whose 40 bits are "onggi". */
static char *const common_args[] = {
	"--quiet",
	"--foreground",
	"--fd=3", /* PROCESS_FD */
	/* passt writes its process id once it is ready, here among its
	 * messages: newer versions close all other descriptors */
	"--pid=/proc/self/fd/2",
	"--mac-addr=02:00:00:00:00:02",
	"--address=10.0.2.15",
	"--netmask=24",
	"--gateway=10.0.2.2",
	"--address=fd6f:6e67:6769::15",
	"--gateway=fd6f:6e67:6769::2",
};

/* Options with a value: two, and one for each published port. */
#define PAIRS_MAX (2 + CONFIG_PUBLISH_MAX)

struct args {
	char *words[1 + ARRAY_SIZE(common_args) + 1 + 2 * PAIRS_MAX + 1];
	unsigned count;
	char values[PAIRS_MAX][INET6_ADDRSTRLEN + sizeof("/65535:65535")];
	unsigned value_count;
};

struct passt {
	struct process process;
	bool ready;
	bool vhost_user;
	int fd;			   /* our end, until something uses it; -1 */
	struct net_stream *stream; /* NULL: by vhost-user */
	void (*failed)(void *ctx, const char *why);
	void *ctx;
	char last[PROCESS_LINE_MAX]; /* the last line that said something */
};

/* --- which one --- */

/* The program's file has the option's name in its help text. A search takes
 * 0.1 ms, running passt --help would take 2 ms of each start. */
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

/* The interface whose link-local IPv6 address passt uses: that of the default
 * route. Without IPv6 passt takes lo, too. Linux lists lo also for the default
 * route that rejects packets. */
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
	for (unsigned i = 0; i < ARRAY_SIZE(common_args); i++)
		args->words[args->count++] = common_args[i];
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

/* --- messages --- */

static void on_line(void *ctx, const char *line)
{
	struct passt *passt = ctx;
	char id[20];

	snprintf(id, sizeof(id), "%d", (int)passt->process.pid);
	if (strcmp(line, id) == 0) {
		passt->ready = true;
		log_debug("passt: ready");
	} else if (*line &&
		   strncmp(line, SYSLOG_FAILS, strlen(SYSLOG_FAILS)) != 0) {
		log_guest(LOG_INFO, "passt: %s", line);
		snprintf(passt->last, sizeof(passt->last), "%s", line);
	}
}

static const char *last_words(const struct passt *passt)
{
	return passt->last[0] ? passt->last : "ended without a message";
}

static void on_end(void *ctx)
{
	struct passt *passt = ctx;

	if (!passt->ready)
		passt->failed(passt->ctx, last_words(passt));
}

/* --- start and end --- */

static int start(struct passt *passt, const struct config_net *net,
		 struct error *err)
{
	int ends[2], ret;
	char path[PATH_MAX];
	struct args args;
	struct process_options options = {
		.path = path,
		.argv = args.words,
		.never_waits = true,
		.said = on_line,
		.ended = on_end,
		.ctx = passt,
	};

	if (!passt_find(path, &passt->vhost_user))
		return error_set(err, ERROR_IO, 0,
				 "passt is not installed (Debian package "
				 "passt)");
	passt->vhost_user &= !config_net_needs_frames(net);
	if (fill_args(&args, net, passt->vhost_user, err))
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return error_set(err, ERROR_IO, errno, "passt");
	passt->fd = ends[0];
	options.fd = ends[1];
	ret = process_start(&passt->process, &options, err);
	close(ends[1]);
	if (ret || passt->vhost_user)
		return ret;
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
	/* without patience: it has nothing to finish */
	process_stop(&passt->process, 0);
	free(passt);
}

int passt_watch(struct passt *passt, struct event_loop *loop,
		void (*failed)(void *ctx, const char *why), void *ctx,
		struct error *err)
{
	int ret;

	passt->failed = failed;
	passt->ctx = ctx;
	ret = process_watch(&passt->process, loop);
	return ret ? error_set(err, ERROR_IO, -ret, "passt") : 0;
}

void passt_unwatch(struct passt *passt)
{
	process_unwatch(&passt->process);
}

/* --- vhost-user --- */

struct vhost_user *passt_connect(struct passt *passt, struct error *err)
{
	const struct vhost_user_options wanted = {
		.kind = &vhost_user_net_kind,
		.name = NAME,
		.fd = take_fd(&passt->fd),
	};
	struct vhost_user *conn = vhost_user_create(&wanted, err);

	if (conn)
		return conn;
	error_wrap(err, NAME);
	/* A passt without its connection ends, and knows the reason better. One
	 * that does not end may say more for ever. */
	if (process_listen(&passt->process, END_MS))
		error_set(err, ERROR_IO, 0, NAME ": %s", last_words(passt));
	return NULL;
}
