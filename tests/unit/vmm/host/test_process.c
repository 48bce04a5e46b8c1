/* Programs that are started, listened to and ended. After each test nothing is
 * left of them: neither a process nor a descriptor. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/host/process.h"

#define LONG_MS 20000 /* never over, if all is well */

struct fixture {
	struct process process;
	struct process_options options;
	char *argv[4];
	struct event_loop *loop;
	unsigned fds;	 /* open before the test */
	char text[4096]; /* what the program says, "|" after each line */
};

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void on_line(void *ctx, const char *line)
{
	struct fixture *f = ctx;
	size_t used = strlen(f->text);

	snprintf(f->text + used, sizeof(f->text) - used, "%s|", line);
}

static void on_end(void *ctx)
{
	struct fixture *f = ctx;

	event_loop_stop(f->loop);
}

static int setup(void **state)
{
	static struct fixture f;
	struct error err;

	f = (struct fixture){ .fds = count_fds() };
	f.options.fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	f.options.path = "/bin/sh";
	f.options.argv = f.argv;
	f.options.said = on_line;
	f.options.ended = on_end;
	f.options.ctx = &f;
	f.loop = event_loop_create(&err);
	*state = &f;
	return f.options.fd < 0 || !f.loop;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	process_stop(&f->process, 0);
	process_stop(&f->process, 0); /* does nothing */
	event_loop_destroy(f->loop);
	close(f->options.fd);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(count_fds(), f->fds);
	return 0;
}

static void start(struct fixture *f, const char *script)
{
	static char sh[] = "sh", option[] = "-c", command[1024];
	struct error err;

	snprintf(command, sizeof(command), "%s", script);
	f->argv[0] = sh;
	f->argv[1] = option;
	f->argv[2] = command;
	assert_int_equal(process_start(&f->process, &f->options, &err), 0);
}

static void listen_to_end(struct fixture *f)
{
	assert_true(process_listen(&f->process, LONG_MS));
}

static void an_event_loop_gets_each_line_and_the_end(void **state)
{
	struct fixture *f = *state;

	start(f, "echo one; echo; echo two >&2; printf three");
	assert_int_equal(process_watch(&f->process, f->loop), 0);
	event_loop_run(f->loop);
	assert_string_equal(f->text, "one||two|three|");
	process_unwatch(&f->process);
}

static void lines_that_nobody_watches_wait(void **state)
{
	struct fixture *f = *state;

	start(f, "echo one; exec sleep 1000");
	assert_int_equal(process_watch(&f->process, f->loop), 0);
	process_unwatch(&f->process);
	assert_string_equal(f->text, "");
	assert_false(process_listen(&f->process, 200));
	assert_string_equal(f->text, "one|");
}

static void one_that_ends_at_once_has_said_nothing(void **state)
{
	struct fixture *f = *state;

	start(f, "exit 1");
	listen_to_end(f);
	assert_string_equal(f->text, "");
}

static void one_that_never_ends_is_killed(void **state)
{
	struct fixture *f = *state;

	start(f, "trap '' TERM; exec sleep 1000");
	assert_false(process_listen(&f->process, 50));
	process_stop(&f->process, 50);
	assert_int_equal(f->process.pid, 0);
}

static void one_that_ends_by_itself_is_given_the_time(void **state)
{
	struct fixture *f = *state;
	char status = 0;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	close(f->options.fd);
	f->options.fd = ends[1];
	start(f, "sleep 0.2; printf x >&3");
	process_stop(&f->process, LONG_MS);
	assert_int_equal(read(ends[0], &status, 1), 1);
	close(ends[0]);
}

static void text_without_a_line_break_takes_bounded_memory(void **state)
{
	struct fixture *f = *state;

	start(f, "head -c 100000 /dev/zero | tr '\\0' x; echo; echo y");
	listen_to_end(f);
	assert_int_equal(strspn(f->text, "x"), PROCESS_LINE_MAX - 1);
	assert_string_equal(f->text + PROCESS_LINE_MAX - 1, "|y|");
}

static void text_without_an_end_is_not_listened_to_for_ever(void **state)
{
	struct fixture *f = *state;

	start(f, "exec tr '\\0' x </dev/zero");
	assert_false(process_listen(&f->process, 100));
	assert_string_equal(f->text, "");
}

static void it_gets_its_descriptors_and_no_others(void **state)
{
	struct fixture *f = *state;
	int inherited = fcntl(f->options.fd, F_DUPFD, 20); /* by exec, too */

	start(f,
	      "ls /proc/$$/fd;"
	      "readlink /proc/$$/fd/0 /proc/$$/fd/3; head -c 1 <&0 | wc -c;"
	      "head -c 2 <&3 | wc -c; echo error >&2");
	listen_to_end(f);
	assert_string_equal(f->text, "0|1|2|3|/dev/null|/dev/zero|0|2|error|");
	close(inherited);
}

/* Whatever number it has here. */
static void its_descriptor_may_have_its_number_already(void **state)
{
	struct fixture *f = *state;
	int old = fcntl(PROCESS_FD, F_DUPFD_CLOEXEC, 30), fd = f->options.fd;

	assert_true(dup3(fd, PROCESS_FD, O_CLOEXEC) >= 0 || fd == PROCESS_FD);
	f->options.fd = PROCESS_FD;
	start(f, "head -c 2 <&3 | wc -c");
	listen_to_end(f);
	assert_string_equal(f->text, "2|");
	if (fd != PROCESS_FD) {
		close(PROCESS_FD);
		dup2(old, PROCESS_FD);
	}
	f->options.fd = fd;
	if (old >= 0)
		close(old);
}

static void its_signals_and_its_session_are_its_own(void **state)
{
	struct fixture *f = *state;
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	signal(SIGHUP, SIG_IGN);
	/* 32 and 33 are the C library's own; whoever started the test may
	 * ignore them */
	start(f,
	      "read -r _ _ _ _ _ session _ </proc/$$/stat;"
	      "[ $session = $$ ] && echo session;"
	      "grep -E '^Sig(Blk|Ign)' /proc/self/status |"
	      "grep -vE ':.0*(0|1?80000000|100000000)$'; echo end");
	signal(SIGHUP, SIG_DFL);
	listen_to_end(f);
	assert_string_equal(f->text, "session|end|");
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	assert_true(sigismember(&set, SIGTERM));
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void *start_sleep(void *ctx)
{
	struct fixture *f = ctx;

	start(f, "echo up; exec sleep 1000");
	while (!*f->text)
		process_listen(&f->process, 10);
	return NULL;
}

static void it_ends_with_the_thread_that_started_it(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, start_sleep, f), 0);
	pthread_join(thread, NULL);
	listen_to_end(f);
}

static void a_program_that_is_not_there_is_told(void **state)
{
	struct fixture *f = *state;

	f->options.path = "/nonexistent/program";
	start(f, "");
	listen_to_end(f);
	assert_string_equal(f->text,
			    "/nonexistent/program: No such file or directory|");
}

static void what_it_cannot_be_given_is_told(void **state)
{
	struct fixture *f = *state;
	int fd = f->options.fd;

	f->options.fd = -1;
	start(f, "echo runs");
	f->options.fd = fd;
	listen_to_end(f);
	assert_string_equal(f->text, "descriptors: Bad file descriptor|");
}

static int change_umask(const void *ctx, struct error *err)
{
	(void)err;
	umask(*(const mode_t *)ctx);
	return 0;
}

static int refuse(const void *ctx, struct error *err)
{
	(void)ctx;
	return error_set(err, ERROR_IO, EPERM, "prepare");
}

static void what_prepares_it_runs_in_the_new_process(void **state)
{
	struct fixture *f = *state;
	const mode_t mask = 0123;
	mode_t ours = umask(022);

	f->options.prepare = change_umask;
	f->options.wanted = &mask;
	start(f, "umask");
	listen_to_end(f);
	assert_string_equal(f->text, "0123|");
	assert_int_equal(umask(ours), 022);
}

static void without_what_prepares_it_the_program_does_not_run(void **state)
{
	struct fixture *f = *state;

	f->options.prepare = refuse;
	start(f, "echo runs");
	listen_to_end(f);
	assert_string_equal(f->text, "prepare: Operation not permitted|");
}

static bool has_ended(struct fixture *f, int options)
{
	siginfo_t info = { 0 };

	assert_int_equal(waitid(P_PID, (id_t)f->process.pid, &info,
				WEXITED | WNOWAIT | options),
			 0);
	return info.si_pid == f->process.pid;
}

static void only_one_that_never_waits_ends_when_nobody_reads(void **state)
{
	struct fixture *f = *state;

	f->options.never_waits = true;
	start(f, "head -c 1000000 /dev/zero");
	assert_true(has_ended(f, 0));
	process_stop(&f->process, 0);

	f->options.never_waits = false;
	start(f, "head -c 1000000 /dev/zero");
	usleep(200000);
	assert_false(has_ended(f, WNOHANG));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_event_loop_gets_each_line_and_the_end),
		TEST(lines_that_nobody_watches_wait),
		TEST(one_that_ends_at_once_has_said_nothing),
		TEST(one_that_never_ends_is_killed),
		TEST(one_that_ends_by_itself_is_given_the_time),
		TEST(text_without_a_line_break_takes_bounded_memory),
		TEST(text_without_an_end_is_not_listened_to_for_ever),
		TEST(it_gets_its_descriptors_and_no_others),
		TEST(its_descriptor_may_have_its_number_already),
		TEST(its_signals_and_its_session_are_its_own),
		TEST(it_ends_with_the_thread_that_started_it),
		TEST(a_program_that_is_not_there_is_told),
		TEST(what_it_cannot_be_given_is_told),
		TEST(what_prepares_it_runs_in_the_new_process),
		TEST(without_what_prepares_it_the_program_does_not_run),
		TEST(only_one_that_never_waits_ends_when_nobody_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
