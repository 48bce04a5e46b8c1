/*
 * What the kernel's own work costs, in ns for one:
 *
 *	kernel MS [TEST]...	each test for MS milliseconds, all by default
 *
 *	syscall	getppid(), by syscall()
 *	switch	half a round trip of one byte through two pipes, between two
 *		processes on one processor: a write, a read and a switch;
 *		nothing is subtracted
 *	pipe	the same, with processes where the scheduler puts them
 *	fork	fork, _exit and wait
 *	exec	fork, execve of this program, which exits at once, and wait
 *	fault	the first write to a page of fresh anonymous memory
 *	mmap	mmap and munmap of one page that nobody touches
 *
 * Each prints a line "TEST VALUE ns": the median of batches (load.h).
 */
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/load/load.h"

#define PAGES 1024

static uint64_t system_calls(uint64_t count)
{
	uint64_t begin = now();

	for (uint64_t i = 0; i < count; i++)
		syscall(SYS_getppid);
	return now() - begin;
}

/* -- Two processes -------------------------------------------------------- */

static int to_peer, from_peer;

static uint64_t half_round_trips(uint64_t count)
{
	uint64_t begin = now();
	char byte = 0;

	for (uint64_t i = 0; i < count; i++)
		if (write(to_peer, &byte, 1) != 1 ||
		    read(from_peer, &byte, 1) != 1)
			err(1, "pipe");
	return (now() - begin) / 2;
}

static void echo_bytes(int in, int out)
{
	char byte;

	while (read(in, &byte, 1) == 1)
		if (write(out, &byte, 1) != 1)
			_exit(1);
	_exit(0);
}

static pid_t start_peer(void)
{
	int there[2], back[2];
	pid_t child;

	if (pipe(there) || pipe(back))
		err(1, "pipe");
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child) {
		close(there[1]);
		close(back[0]);
		echo_bytes(there[0], back[1]);
	}
	close(there[0]);
	close(back[1]);
	to_peer = there[1];
	from_peer = back[0];
	return child;
}

static double ping_pong(uint64_t ms)
{
	pid_t child = start_peer();
	double result = median_of_batches(half_round_trips, ms);

	close(to_peer);
	close(from_peer);
	waitpid(child, NULL, 0);
	return result;
}

static double ping_pong_on_one(uint64_t ms)
{
	cpu_set_t all, one;
	double result;
	int cpu = 0;

	if (sched_getaffinity(0, sizeof(all), &all))
		err(1, "sched_getaffinity");
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		err(1, "sched_setaffinity");
	result = ping_pong(ms);
	if (sched_setaffinity(0, sizeof(all), &all))
		err(1, "sched_setaffinity");
	return result;
}

/* -- Processes ------------------------------------------------------------ */

static void await_success(pid_t child)
{
	int status;

	if (child < 0)
		err(1, "fork");
	if (waitpid(child, &status, 0) != child || status)
		errx(1, "a child failed");
}

static uint64_t forks(uint64_t count)
{
	uint64_t begin = now();

	for (uint64_t i = 0; i < count; i++) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		await_success(child);
	}
	return now() - begin;
}

static uint64_t execs(uint64_t count)
{
	/* The path of this program; /proc/self/exe would need /proc. */
	char *path = (char *)getauxval(AT_EXECFN); // NOLINT
	char *arguments[] = { path, (char[]){ "exit" }, NULL };
	uint64_t begin = now();

	for (uint64_t i = 0; i < count; i++) {
		pid_t child = fork();

		if (!child) {
			execv(path, arguments);
			_exit(1);
		}
		await_success(child);
	}
	return now() - begin;
}

/* -- Memory --------------------------------------------------------------- */

static char *fresh;
static size_t page_size;

/* The time to give the pages back is not counted. */
static uint64_t faults(uint64_t count)
{
	uint64_t time = 0;

	while (count) {
		uint64_t pages = count < PAGES ? count : PAGES, begin = now();

		for (uint64_t i = 0; i < pages; i++)
			((volatile char *)fresh)[i * page_size] = 1;
		time += now() - begin;
		count -= pages;
		if (madvise(fresh, PAGES * page_size, MADV_DONTNEED))
			err(1, "madvise");
	}
	return time;
}

static double page_faults(uint64_t ms)
{
	double result;

	fresh = allocate(PAGES * page_size, MAP_PRIVATE);
	/* This fails in kernels without huge pages, which is fine. */
	madvise(fresh, PAGES * page_size, MADV_NOHUGEPAGE);
	result = median_of_batches(faults, ms);
	munmap(fresh, PAGES * page_size);
	return result;
}

static uint64_t maps(uint64_t count)
{
	uint64_t begin = now();

	for (uint64_t i = 0; i < count; i++)
		munmap(allocate(page_size, MAP_PRIVATE), page_size);
	return now() - begin;
}

/* -- All of them ---------------------------------------------------------- */

static const struct test {
	const char *name;
	batch_fn *batch;
	double (*measure)(uint64_t ms); /* instead, with preparations */
} tests[] = {
	{ "syscall", system_calls, NULL },
	{ "switch", NULL, ping_pong_on_one },
	{ "pipe", NULL, ping_pong },
	{ "fork", forks, NULL },
	{ "exec", execs, NULL },
	{ "fault", NULL, page_faults },
	{ "mmap", maps, NULL },
};

static const struct test *find_test(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		if (!strcmp(tests[i].name, name))
			return &tests[i];
	errx(2,
	     "%s: no such test (syscall, switch, pipe, fork, exec, fault, "
	     "mmap)",
	     name);
}

static void run(const struct test *test, uint64_t ms)
{
	report(test->name,
	       test->batch ? median_of_batches(test->batch, ms)
			   : test->measure(ms),
	       "ns");
}

int main(int argc, char **argv)
{
	uint64_t ms;

	if (argc == 2 && !strcmp(argv[1], "exit"))
		_exit(0);
	if (argc < 2)
		errx(2, "usage: kernel MS [TEST]...");
	ms = number("MS", argv[1], MAX_MS);
	page_size = (size_t)sysconf(_SC_PAGESIZE);
	for (int i = 2; i < argc; i++)
		find_test(argv[i]);
	for (int i = 2; i < argc; i++)
		run(find_test(argv[i]), ms);
	for (size_t i = 0; argc == 2 && i < ARRAY_SIZE(tests); i++)
		run(&tests[i], ms);
	return 0;
}
