#include "vmm/host/passt.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
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
#include "vmm/host/process.h"

#define NAME "net user: passt" /* of the connection, in messages */
#define END_MS 2000	       /* time for passt to print what went wrong */

#define VHOST_USER_OPTION "--vhost-user"
#define SYSLOG_FAILS "Failed to send " /* passt prints it without a syslogd */

/* The guest has the same addresses on every host. Without these options passt
 * would give it the host's own, and would not start on a host without a default
 * route. IPv4 is as in QEMU's user network. IPv6 is a unique local prefix
 * (RFC 4193) whose 40 bits are "onggi". */
static const char *const common_args[] = {
	"--quiet",
	"--foreground",
	"--fd=3", /* PROCESS_FD */
	/* passt writes its process id once it is ready: here among its
	 * messages, because newer versions close all other descriptors. */
	"--pid=/proc/self/fd/2",
	"--mac-addr=02:00:00:00:00:02",
	"--address=10.0.2.15",
	"--netmask=24",
	"--gateway=10.0.2.2",
	"--address=fd6f:6e67:6769::15",
	"--gateway=fd6f:6e67:6769::2",
};

/* The command line: passt, --vhost-user, --interface, --mtu and one word for
 * each published port beside the words that are always there. */
#define ARGS_MAX (ARRAY_SIZE(common_args) + 4 + CONFIG_PUBLISH_MAX)

struct args {
	unsigned count;
	char *words[ARGS_MAX + 1]; /* ends with NULL */
	char text[ARGS_MAX]
		 [CONFIG_ADDRESS_SIZE + sizeof("--tcp-ports=/65535:65535")];
};

struct passt {
	struct process process;
	bool ready;
	int fd; /* onggi's end until a user of it takes it; -1 */
	struct net_stream *stream; /* NULL: passt is a vhost-user server */
	void (*failed)(void *ctx, const char *why);
	void *ctx;
	char last[PROCESS_LINE_MAX]; /* the last message; empty: none */
};

/* --- which one --- */

/* Looks for the option's name in the program's file, which has a help text.
 * That takes 0.1 ms of each start; passt --help would take 2 ms. */
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
	if (!process_find_program("passt", path))
		return false;
	*vhost_user = knows_vhost_user(path);
	return true;
}

/* --- arguments --- */

__attribute__((format(printf, 2, 3))) static void add_word(struct args *args,
							   const char *fmt, ...)
{
	char *word = args->text[args->count];
	va_list list;

	va_start(list, fmt);
	vsnprintf(word, sizeof(args->text[0]), fmt, list);
	va_end(list);
	args->words[args->count++] = word;
}

/* Sets name to the interface whose link-local IPv6 address passt uses: that of
 * the default route. Without IPv6 passt accepts lo as well. Linux also lists
 * lo, for a default route that rejects packets; this function skips it. */
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

static void fill_args(struct args *args, const struct config_net *net,
		      bool vhost_user)
{
	char interface[IF_NAMESIZE];

	*args = (struct args){ 0 };
	add_word(args, "passt");
	for (unsigned i = 0; i < ARRAY_SIZE(common_args); i++)
		add_word(args, "%s", common_args[i]);
	if (vhost_user)
		add_word(args, VHOST_USER_OPTION);
	find_interface(interface);
	add_word(args, "--interface=%s", interface);
	add_word(args, "--mtu=%u",
		 net->mtu ? (unsigned)net->mtu : CONFIG_USER_MTU);
	for (unsigned i = 0; i < net->publish_count; i++) {
		const struct config_publish *port = &net->ports[i];

		add_word(args, "--%s-ports=%s/%u:%u", port->udp ? "udp" : "tcp",
			 port->address, port->host, port->guest);
	}
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
	bool vhost_user;
	struct args args;
	struct process_options options = {
		.path = path,
		.argv = args.words,
		.never_waits = true,
		.said = on_line,
		.ended = on_end,
		.ctx = passt,
	};

	if (!passt_find(path, &vhost_user))
		return error_io(err,
				"passt is not installed (Debian package "
				"passt)");
	vhost_user &= !config_net_needs_frames(net);
	fill_args(&args, net, vhost_user);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return error_set(err, ERROR_IO, errno, "passt");
	passt->fd = ends[0];
	options.fd = ends[1];
	ret = process_start(&passt->process, &options, err);
	close(ends[1]);
	if (ret || vhost_user)
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

struct net_backend *passt_backend(struct passt *passt)
{
	return passt->stream ? net_stream_backend(passt->stream) : NULL;
}

void passt_stop(struct passt *passt)
{
	if (!passt)
		return;
	net_stream_destroy(passt->stream);
	cleanup_close(&passt->fd);
	/* passt has nothing to finish, so that there is no wait. */
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
	/* passt ends once its connection is gone, and prints a better reason.
	 * If it does not end, its messages say nothing about this error. */
	if (process_listen(&passt->process, END_MS))
		error_io(err, NAME ": %s", last_words(passt));
	return NULL;
}
