#include "vmm/host/process.h"

#include <errno.h>
#include <fcntl.h>
#include <paths.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/container_of.h"

#define STACK_SIZE (64 * 1024)

struct child {
	const struct process_options *options;
	int output;
	pid_t parent;
};

/* --- which program --- */

bool process_is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       access(path, X_OK) == 0;
}

bool process_find_program(const char *name, char path[static PATH_MAX])
{
	const char *folder = getenv("PATH"), *end;

	/* execvp() does the same when PATH is not set. */
	if (!folder)
		folder = _PATH_DEFPATH;
	for (; *folder; folder = *end ? end + 1 : end) {
		end = strchrnul(folder, ':');
		snprintf(path, PATH_MAX, "%.*s/%s", (int)(end - folder), folder,
			 name);
		if (*folder == '/' && process_is_program(path))
			return true;
	}
	*path = '\0';
	return false;
}

/* --- the new process, until exec --- */

static void reset_signals(void)
{
	sigset_t none;

	/* One that is pending was sent to onggi's process group. */
	for (int number = 1; number < NSIG; number++) {
		signal(number, SIG_IGN);
		signal(number, SIG_DFL);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Copies options->fd first. It may be PROCESS_FD itself, and dup2() onto the
 * same number would leave O_CLOEXEC set. */
static int place_descriptors(const struct child *child, struct error *err)
{
	int fd = fcntl(child->options->fd, F_DUPFD_CLOEXEC, PROCESS_FD + 1);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (dup2(child->output, STDOUT_FILENO) < 0 ||
	    dup2(child->output, STDERR_FILENO) < 0 || fd < 0 || null < 0 ||
	    dup2(null, STDIN_FILENO) < 0 || dup2(fd, PROCESS_FD) < 0)
		return error_set(err, ERROR_IO, errno, "descriptors");
	/* Descriptors that onggi inherited may lack O_CLOEXEC. */
	close_range(PROCESS_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	return 0;
}

static int run_child(void *arg)
{
	const struct child *child = arg;
	const struct process_options *options = child->options;
	struct error err;

	setsid();
	reset_signals();
	if (place_descriptors(child, &err) == 0 &&
	    (!options->prepare ||
	     options->prepare(options->wanted, &err) == 0)) {
		/* After prepare(), as a change of credentials clears it. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == child->parent)
			execv(options->path, options->argv);
		error_set(&err, ERROR_IO, errno, "%s", options->path);
	}
	dprintf(STDERR_FILENO, "%s\n", err.text);
	return 127;
}

/* --- its output --- */

static void end_line(struct process *process)
{
	process->line[process->length] = '\0';
	process->length = 0;
	process->said(process->ctx, process->line);
}

/* Reads once. False when no more can come. */
static bool read_output(struct process *process)
{
	char text[512];
	ssize_t len = read(process->output.fd, text, sizeof(text));

	for (ssize_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			end_line(process);
		else if (process->length < sizeof(process->line) - 1)
			process->line[process->length++] = text[i];
	}
	if (len == 0 && process->length)
		end_line(process);
	return len > 0 || (len < 0 && (errno == EAGAIN || errno == EINTR));
}

static void output_ready(struct event_source *source, uint32_t events)
{
	struct process *process = container_of(source, struct process, output);

	(void)events;
	if (read_output(process))
		return;
	process_unwatch(process);
	if (process->ended)
		process->ended(process->ctx);
}

int process_watch(struct process *process, struct event_loop *loop)
{
	process->loop = loop;
	return event_loop_add(loop, &process->output, EPOLLIN);
}

void process_unwatch(struct process *process)
{
	if (process->loop)
		event_loop_remove(process->loop, &process->output);
	process->loop = NULL;
}

bool process_listen(struct process *process, int timeout_ms)
{
	struct pollfd in = { .fd = process->output.fd, .events = POLLIN };
	int64_t end = clock_ms() + timeout_ms, left;

	while ((left = end - clock_ms()) > 0 && poll(&in, 1, (int)left) > 0)
		if (!read_output(process))
			return true;
	return false;
}

/* --- start and end --- */

/* The child shares the memory of onggi until exec, as it does in posix_spawn(),
 * which could not call prepare(). fork() would copy the page tables: 3 to 5 ms
 * for 100 MB of memory, and later a fault for each page that is written. This
 * takes 0.07 ms, whatever the size of the memory. */
static pid_t spawn(struct child *child)
{
	autofree char *stack = malloc(STACK_SIZE);
	sigset_t all, old;
	pid_t pid;

	if (!stack)
		return -1;
	/* No signal handler of onggi may run in the child. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = clone(run_child, stack + STACK_SIZE,
		    CLONE_VM | CLONE_VFORK | SIGCHLD, child);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pid;
}

int process_start(struct process *process,
		  const struct process_options *options, struct error *err)
{
	struct child child = { .options = options, .parent = getpid() };
	int output[2];
	pid_t pid;

	if (pipe2(output, O_CLOEXEC | O_NONBLOCK))
		return error_set(err, ERROR_IO, errno, "%s", options->path);
	if (!options->never_waits)
		fcntl(output[1], F_SETFL, 0);
	/* The program may open the pipe again by its name in /proc, and as
	 * another user when root starts it. */
	fchmod(output[1], 0622);
	child.output = output[1];
	pid = spawn(&child);
	close(output[1]);
	if (pid < 0) {
		close(output[0]);
		return error_set(err, ERROR_IO, errno, "%s", options->path);
	}
	*process = (struct process){
		.pid = pid,
		.output = { .fd = output[0], .ready = output_ready },
		.said = options->said,
		.ended = options->ended,
		.ctx = options->ctx,
	};
	return 0;
}

void process_stop(struct process *process, int patience_ms)
{
	struct pollfd end = { .events = POLLIN };

	if (!process->pid)
		return;
	process_unwatch(process);
	end.fd = pidfd_open(process->pid, 0);
	if (end.fd < 0 || poll(&end, 1, patience_ms) <= 0)
		kill(process->pid, SIGKILL);
	cleanup_close(&end.fd);
	while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(process->output.fd);
	*process = (struct process){ 0 };
}
