/*
 * Starts instances at the same time and reports when each reached what:
 *
 *	launch TIMEOUT_MS CGROUP COMMAND [ARGUMENT]... [::: CGROUP COMMAND...]...
 *
 * CGROUP is the folder of a cgroup, which the instance joins first, or "-".
 * Each instance has /dev/null as standard input, and a pipe as output and error
 * output. When all of them have joined, all execute their commands. Two lines
 * of their output are marks: "<init>" and, after it or without it, "<app>".
 * Carriage returns and escape sequences of terminals are ignored.
 *
 * Prints a line of JSON for each instance, in the order given:
 *	{"instance": 0, "start": NS, "init": NS, "app": NS, "reaped": NS,
 *	 "status": N, "timed_out": false, "error": null, "output": "..."}
 * start is CLOCK_MONOTONIC just before execve(), in nanoseconds. init, app and
 * reaped count from it, and are null for what did not happen in time. status is
 * the exit code, or 128 and the signal's number. error says why the instance
 * was not started, e.g. "execute nothing: No such file or directory" (its start
 * and the others are null then). output is the last 300 bytes, in Latin-1.
 *
 * Whatever still runs at the end or after TIMEOUT_MS is killed, with all its
 * descendants. Exit code: 0, even if instances failed; 2 for a wrong command
 * line; 1 for what else went wrong; 128 + N after signal N.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/load/load.h"

#define KEPT 300
#define LONGEST_MARK 16
#define SIGNALS UINT64_MAX /* epoll data, which else is an instance's index */

/* What an instance's process reports, in shared memory. */
struct told {
	uint64_t start;
	int error;	  /* errno of the step that failed */
	const char *step; /* NULL: none has failed */
};

struct instance {
	const char *cgroup; /* NULL for none */
	char **command;
	pid_t pid;
	int output;
	int status;
	uint64_t init, app, reaped;
	bool timed_out;
	char line[LONGEST_MARK]; /* so far, without escape sequences */
	size_t line_length;
	enum { TEXT, ESCAPE, SEQUENCE } state;
	char kept[KEPT]; /* a ring */
	uint64_t received;
};

static struct instance *instances;
static struct told *told;
static size_t count;
static size_t alive;
static sigset_t old_mask;

/* -- Starting ------------------------------------------------------------- */

static __attribute__((noreturn)) void give_up(struct told *t, const char *step)
{
	t->error = errno;
	t->step = step;
	_exit(127);
}

static bool join_cgroup(const char *folder)
{
	char path[4096];
	int fd;

	if (!folder)
		return true;
	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, "0", 1) == 1 && !close(fd);
}

/* Runs in the instance's process. When that is ready, it closes its end of the
 * ready pipe, and waits for its byte from the gate. */
static __attribute__((noreturn)) void become(struct instance *instance,
					     struct told *t, int output,
					     int ready, int gate)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	if (!join_cgroup(instance->cgroup))
		give_up(t, "join");
	if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 ||
	    dup2(output, 2) < 0)
		give_up(t, "connect");
	sigprocmask(SIG_SETMASK, &old_mask, NULL);
	close(ready);
	if (read(gate, &byte, 1) != 1)
		_exit(127);
	t->start = now();
	execvp(instance->command[0], instance->command); // NOLINT: set
	give_up(t, "execute");
}

static void start(size_t i, int ready[2], int gate[2])
{
	struct instance *instance = &instances[i];
	int output[2];

	if (pipe2(output, O_CLOEXEC))
		err(1, "pipe");
	instance->pid = fork();
	if (instance->pid < 0)
		err(1, "fork");
	if (!instance->pid) {
		close(gate[1]);
		become(instance, &told[i], output[1], ready[1], gate[0]);
	}
	close(output[1]);
	instance->output = output[0];
	if (fcntl(output[0], F_SETFL, O_NONBLOCK))
		err(1, "pipe");
	alive++;
}

static void start_all(void)
{
	int ready[2], gate[2];
	char byte = 0;

	if (pipe2(ready, O_CLOEXEC) || pipe2(gate, O_CLOEXEC))
		err(1, "pipe");
	for (size_t i = 0; i < count; i++)
		start(i, ready, gate);
	close(ready[1]);
	if (read(ready[0], &byte, 1))
		err(1, "pipe");
	close(ready[0]);
	for (size_t i = 0; i < count; i++)
		if (write(gate[1], &byte, 1) != 1)
			err(1, "pipe");
	close(gate[0]);
	close(gate[1]);
}

/* -- Output --------------------------------------------------------------- */

static void end_line(struct instance *instance, uint64_t time)
{
	size_t length = instance->line_length;

	instance->line_length = 0;
	if (length == 6 && !memcmp(instance->line, "<init>", 6)) {
		if (!instance->init)
			instance->init = time;
	} else if (length == 5 && !memcmp(instance->line, "<app>", 5)) {
		if (!instance->app)
			instance->app = time;
	}
}

static void take_byte(struct instance *instance, char c, uint64_t time)
{
	switch (instance->state) {
	case TEXT:
		if (c == '\033')
			instance->state = ESCAPE;
		else if (c == '\n')
			end_line(instance, time);
		else if (c != '\r' && instance->line_length < LONGEST_MARK)
			instance->line[instance->line_length++] = c;
		break;
	case ESCAPE:
		instance->state = c == '[' ? SEQUENCE : TEXT;
		break;
	case SEQUENCE:
		if (c >= '@' && c <= '~')
			instance->state = TEXT;
		break;
	}
}

/* Returns whether there may be more output later. */
static bool take_output(struct instance *instance)
{
	char data[65536];
	ssize_t n;

	while ((n = read(instance->output, data, sizeof(data))) > 0) {
		/* What is read after the process ended was written before. */
		uint64_t time = instance->reaped ? instance->reaped : now();

		for (ssize_t i = 0; i < n; i++) {
			take_byte(instance, data[i], time);
			instance->kept[instance->received++ % KEPT] = data[i];
		}
		/* An instance that floods must not keep others waiting. */
		if (n < (ssize_t)sizeof(data))
			return true;
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* -- Ends ----------------------------------------------------------------- */

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		uint64_t time = now();

		for (size_t i = 0; i < count; i++) {
			if (instances[i].pid != pid)
				continue;
			instances[i].pid = 0;
			instances[i].reaped = time;
			instances[i].status = WIFSIGNALED(status)
						      ? 128 + WTERMSIG(status)
						      : WEXITSTATUS(status);
			alive--;
			take_output(&instances[i]);
		}
	}
}

/* When its parent dies, a descendant becomes a child of this process. So it is
 * enough to kill children until there are none, whatever their groups and
 * sessions. */
static void kill_all(void)
{
	char path[80];

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	for (;;) {
		FILE *file = fopen(path, "re");
		int pid;

		/* In a kernel without that file, at least kill the groups. */
		for (size_t i = 0; !file && i < count; i++)
			if (instances[i].pid)
				kill(-instances[i].pid, SIGKILL);
		while (file && fscanf(file, "%d", &pid) == 1) // NOLINT
			kill(pid, SIGKILL);
		if (file)
			fclose(file);
		reap();
		if (waitpid(-1, NULL, WNOHANG) < 0)
			return;
		usleep(1000);
	}
}

static void time_out(void)
{
	for (size_t i = 0; i < count; i++)
		instances[i].timed_out = instances[i].pid != 0;
	kill_all();
}

/* Returns the signal that asks for an end, or 0. */
static int take_signals(int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			return (int)info.ssi_signo;
	reap();
	return 0;
}

/* -- Watching ------------------------------------------------------------- */

static void add_to(int epoll, int fd, uint64_t what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = what };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		err(1, "epoll");
}

static int prepare_epoll(int signals)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0)
		err(1, "epoll");
	add_to(epoll, signals, SIGNALS);
	for (size_t i = 0; i < count; i++)
		add_to(epoll, instances[i].output, i);
	return epoll;
}

static int handle(int epoll, int signals, const struct epoll_event *event)
{
	uint64_t i = event->data.u64;

	if (i == SIGNALS)
		return take_signals(signals);
	if (!take_output(&instances[i]))
		epoll_ctl(epoll, EPOLL_CTL_DEL, instances[i].output, NULL);
	return 0;
}

/* Returns 0 when all instances have ended or time is over, or the signal that
 * asks for an end. */
static int watch(int epoll, int signals, uint64_t deadline)
{
	while (alive) {
		struct epoll_event events[64];
		uint64_t time = now();
		int n, signal;

		if (time >= deadline) {
			time_out();
			return 0;
		}
		n = epoll_wait(epoll, events, 64,
			       (int)((deadline - time) / 1000000 + 1));
		for (int i = 0; i < n; i++) {
			signal = handle(epoll, signals, &events[i]);
			if (signal)
				return signal;
		}
	}
	return 0;
}

/* -- The result ----------------------------------------------------------- */

static void print_time(const char *name, uint64_t time, uint64_t begin)
{
	if (time && begin)
		printf(", \"%s\": %" PRIu64, name, time - begin);
	else
		printf(", \"%s\": null", name);
}

static void print_text(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c > '~')
			printf("\\u%04x", c);
		else
			putchar(c);
	}
}

static void print_output(const struct instance *instance)
{
	uint64_t length = instance->received < KEPT ? instance->received : KEPT;
	char text[KEPT];

	for (uint64_t i = 0; i < length; i++)
		text[i] =
			instance->kept[(instance->received - length + i) % KEPT];
	print_text(text, length);
}

static void print_error(const struct instance *instance, const struct told *t)
{
	const char *what = instance->command[0];

	if (!t->step) {
		printf(", \"error\": null");
		return;
	}
	if (!strcmp(t->step, "join"))
		what = instance->cgroup;
	else if (!strcmp(t->step, "connect"))
		what = "standard streams";
	printf(", \"error\": \"%s ", t->step);
	print_text(what, strlen(what));
	printf(": %s\"", strerror(t->error));
}

static void print_instance(size_t i)
{
	const struct instance *instance = &instances[i];
	uint64_t begin = told[i].step ? 0 : told[i].start;

	printf("{\"instance\": %zu", i);
	if (begin)
		printf(", \"start\": %" PRIu64, begin);
	else
		printf(", \"start\": null");
	print_time("init", instance->init, begin);
	print_time("app", instance->app, begin);
	print_time("reaped", instance->timed_out ? 0 : instance->reaped, begin);
	printf(", \"status\": %d, \"timed_out\": %s", instance->status,
	       instance->timed_out ? "true" : "false");
	print_error(instance, &told[i]);
	printf(", \"output\": \"");
	print_output(instance);
	printf("\"}\n");
}

/* -- The command line ----------------------------------------------------- */

static void read_instances(char **arguments)
{
	size_t words = 0;

	while (arguments[words])
		words++;
	instances = calloc(words / 2 + 1, sizeof(*instances));
	if (!instances)
		err(1, "memory");
	while (*arguments) {
		struct instance *instance = &instances[count++];
		const char *cgroup = *arguments++;

		if (strcmp(cgroup, "-") != 0)
			instance->cgroup = cgroup;
		instance->command = arguments;
		if (!*arguments || !strcmp(*arguments, ":::") ||
		    !strcmp(cgroup, ":::"))
			errx(2, "instance %zu: no command", count - 1);
		while (*arguments && strcmp(*arguments, ":::") != 0)
			arguments++;
		if (*arguments) {
			*arguments++ = NULL;
			if (!*arguments)
				errx(2, "instance %zu: no command", count);
		}
	}
	told = allocate(count * sizeof(*told), MAP_SHARED);
}

static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &old_mask);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		err(1, "signalfd");
	return fd;
}

int main(int argc, char **argv)
{
	uint64_t ms;
	int signals, epoll, ended;

	if (argc < 4)
		errx(2,
		     "usage: launch TIMEOUT_MS CGROUP COMMAND [ARGUMENT]... "
		     "[::: CGROUP COMMAND [ARGUMENT]...]...");
	ms = number("TIMEOUT_MS", argv[1], MAX_MS);
	read_instances(argv + 2);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		err(1, "prctl");
	signals = open_signals();
	start_all();
	epoll = prepare_epoll(signals);
	ended = watch(epoll, signals, now() + ms * 1000000);
	kill_all();
	if (ended)
		return 128 + ended;
	for (size_t i = 0; i < count; i++) {
		/* Some may be written but not read yet. */
		take_output(&instances[i]);
		print_instance(i);
	}
	return 0;
}
