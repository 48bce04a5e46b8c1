/*
 * Bad neighbours. Each runs for MS milliseconds or until SIGTERM, SIGINT or
 * SIGHUP, and cleans up after itself:
 *
 *	hog fork MAX MS		processes fork until there are MAX of them (at
 *				most 100000) or fork fails, and go on trying
 *	hog memory MAX_MB MS	touches memory until it has MAX_MB, or is
 *				refused more or killed; goes on touching it
 *	hog disk FILE MB MS	writes MB into FILE over and over, with a fsync
 *				after each MB; FILE must not exist and loses its
 *				name at once
 *
 * At its end, each prints how far it came:
 *	fork:   "processes N count", "refused N count"
 *	memory: "touched N MB" (the most), "killed N count", "refused N count"
 *	disk:   "written N MB", "fsyncs N count", "refused N count" (no space)
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/load/load.h"

#define MB 1000000
#define MOST_PROCESSES 100000

/* Shared with the children. */
static struct {
	uint64_t processes; /* there are, or are about to be, so many */
	uint64_t reached;
	uint64_t refused;
} * shared;

static uint64_t deadline;
static sigset_t ends;

static void add(uint64_t *value, uint64_t by)
{
	__atomic_fetch_add(value, by, __ATOMIC_RELAXED);
}

/* Waits until the deadline, for a signal that asks for the end, or for the
 * death of a child if `child` is set. Returns the signal, SIGALRM for the
 * deadline. */
static int wait_for_end(bool child)
{
	sigset_t set = ends;
	struct timespec left;
	uint64_t time = now();

	if (time >= deadline)
		return SIGALRM;
	left.tv_sec = (time_t)((deadline - time) / 1000000000);
	left.tv_nsec = (long)((deadline - time) % 1000000000);
	if (child)
		sigaddset(&set, SIGCHLD);
	int signal = sigtimedwait(&set, NULL, &left);

	return signal > 0 ? signal : SIGALRM;
}

static bool asked_to_end(void)
{
	struct timespec none = { 0 };

	return now() >= deadline || sigtimedwait(&ends, NULL, &none) > 0;
}

/* The child has its own process group, so that end_group() can kill it with all
 * of its descendants. */
static pid_t start_group(void)
{
	pid_t child = fork();

	if (child < 0)
		err(1, "fork");
	setpgid(child, child); /* both do it, because either may be first */
	return child;
}

static void end_group(pid_t group)
{
	kill(-group, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

static void print_count(const char *name, uint64_t value, const char *unit)
{
	printf("%s %" PRIu64 " %s\n", name, value, unit);
}

/* -- Processes ------------------------------------------------------------ */

/* Each process ends by itself, in case nobody is left to kill it. */
static void multiply(uint64_t max)
{
	while (now() < deadline) {
		pid_t child = -1;

		if (__atomic_fetch_add(&shared->processes, 1,
				       __ATOMIC_RELAXED) < max)
			child = fork();
		if (child < 0) {
			add(&shared->processes, (uint64_t)-1);
			add(&shared->refused, 1);
			sched_yield();
		} else if (child > 0) {
			add(&shared->reached, 1);
		}
	}
	_exit(0);
}

static void hog_processes(uint64_t max)
{
	pid_t group;

	/* Orphans become this process's children, so that all are reaped. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		err(1, "prctl");
	shared->processes = shared->reached = 1;
	group = start_group();
	if (!group)
		multiply(max);
	wait_for_end(false);
	end_group(group);
	print_count("processes", shared->reached, "count");
	print_count("refused", shared->refused, "count");
}

/* -- Memory --------------------------------------------------------------- */

static void touch(char *chunk)
{
	for (size_t i = 0; i < MB; i += 4096)
		((volatile char *)chunk)[i]++;
}

/* Asks the kernel to kill this process first when memory is short. */
static void be_first_victim(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "1000", 4) != 4)
		warn("oom_score_adj");
	close(fd);
}

static void eat(uint64_t max)
{
	char **chunks = calloc(max, sizeof(*chunks));
	uint64_t count = 0;

	if (!chunks)
		err(1, "memory");
	be_first_victim();
	while (count < max && now() < deadline) {
		void *chunk = mmap(NULL, MB, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (chunk == MAP_FAILED) {
			add(&shared->refused, 1);
			break;
		}
		chunks[count++] = chunk;
		touch(chunk);
		if (count > shared->reached)
			shared->reached = count;
	}
	while (count && now() < deadline)
		for (uint64_t i = 0; i < count && now() < deadline; i++)
			touch(chunks[i]);
	_exit(0);
}

/* A child eats, because it may be killed. Then another child begins again. */
static void hog_memory(uint64_t max)
{
	uint64_t killed = 0;
	int signal;

	do {
		pid_t group = start_group();
		int status = 0;

		if (!group)
			eat(max);
		signal = wait_for_end(true);
		if (signal != SIGCHLD)
			end_group(group);
		else if (waitpid(group, &status, 0) == group &&
			 WIFSIGNALED(status))
			killed++;
	} while (signal == SIGCHLD);
	print_count("touched", shared->reached, "MB");
	print_count("killed", killed, "count");
	print_count("refused", shared->refused, "count");
}

/* -- The disk ------------------------------------------------------------- */

static void hog_disk(const char *path, uint64_t max)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char *data = malloc(MB);
	uint64_t written = 0, fsyncs = 0, refused = 0, next = 0;

	if (fd < 0 || unlink(path))
		err(1, "%s", path);
	if (!data)
		err(1, "memory");
	memset(data, 0x5a, MB);
	while (!asked_to_end()) {
		ssize_t n = pwrite(fd, data, MB, (off_t)(next * MB));

		if (n < 0 && errno != ENOSPC && errno != EDQUOT)
			err(1, "%s", path);
		if (n != MB) {
			refused++;
			next = 0;
			continue;
		}
		written++;
		next = (next + 1) % max;
		if (fsync(fd))
			err(1, "%s: fsync", path);
		fsyncs++;
	}
	close(fd);
	free(data);
	print_count("written", written, "MB");
	print_count("fsyncs", fsyncs, "count");
	print_count("refused", refused, "count");
}

/* ------------------------------------------------------------------------- */

static void prepare(const char *ms)
{
	deadline = now() + number("MS", ms, MAX_MS) * 1000000;
	shared = allocate(sizeof(*shared), MAP_SHARED);
	sigset_t blocked; /* so that they wait for sigtimedwait() */

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGHUP);
	blocked = ends;
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
}

int main(int argc, char **argv)
{
	const char *what = argc > 3 ? argv[1] : "";

	if (!strcmp(what, "fork") && argc == 4) {
		prepare(argv[3]);
		hog_processes(number("MAX", argv[2], MOST_PROCESSES));
	} else if (!strcmp(what, "memory") && argc == 4) {
		prepare(argv[3]);
		hog_memory(number("MAX_MB", argv[2], 1 << 24));
	} else if (!strcmp(what, "disk") && argc == 5) {
		prepare(argv[4]);
		hog_disk(argv[2], number("MB", argv[3], 1 << 20));
	} else {
		errx(2,
		     "usage: hog fork MAX MS | hog memory MAX_MB MS | "
		     "hog disk FILE MB MS");
	}
	return 0;
}
