/* A console between a port that is made up and files, pipes, a pty and a
 * terminal on standard input. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/host/console_private.h"

struct fixture {
	struct console *console;
	struct event_loop *loop;
	struct timeline timeline;
	pthread_mutex_t lock;
	char dir[32],
		path[48]; /* a folder, and a file that may be made there */
	int stdin_fd, stdout_fd; /* as they were */
	int reader;		 /* of what goes to standard output */

	size_t room; /* bytes that the port takes */
	char got[4096];
	size_t got_len;
	unsigned resumes, quits;
	uint16_t columns, rows;
};

static size_t receive(void *dev, const uint8_t *data, size_t len)
{
	struct fixture *f = dev;

	if (len > f->room)
		len = f->room;
	assert_true(f->got_len + len < sizeof(f->got));
	memcpy(f->got + f->got_len, data, len);
	f->got_len += len;
	f->room -= len;
	return len;
}

static void resume(void *dev)
{
	((struct fixture *)dev)->resumes++;
}

static void resize(void *dev, uint16_t columns, uint16_t rows)
{
	struct fixture *f = dev;

	f->columns = columns;
	f->rows = rows;
}

static void quit(void *ctx)
{
	((struct fixture *)ctx)->quits++;
}

static int setup(void **state)
{
	static struct fixture f;
	struct error err;

	f = (struct fixture){ .room = 4000, .reader = -1 };
	pthread_mutex_init(&f.lock, NULL);
	strcpy(f.dir, "/tmp/onggi-console-XXXXXX");
	if (!mkdtemp(f.dir))
		return -1;
	snprintf(f.path, sizeof(f.path), "%s/file", f.dir);
	f.stdin_fd = dup(STDIN_FILENO);
	f.stdout_fd = dup(STDOUT_FILENO);
	f.loop = event_loop_create(&err);
	signal(SIGPIPE, SIG_IGN);
	*state = &f;
	return f.loop ? 0 : -1;
}

static void end(struct fixture *f)
{
	console_detach(f->console);
	console_close(f->console);
	f->console = NULL;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	end(f);
	dup2(f->stdin_fd, STDIN_FILENO);
	dup2(f->stdout_fd, STDOUT_FILENO);
	close(f->stdin_fd);
	close(f->stdout_fd);
	if (f->reader >= 0)
		close(f->reader);
	event_loop_destroy(f->loop);
	unlink(f->path);
	rmdir(f->dir);
	pthread_mutex_destroy(&f->lock);
	return 0;
}

static void open_console(struct fixture *f, struct config_console config)
{
	struct error err;

	f->console = console_open("console", &config, &f->timeline, &err);
	assert_non_null(f->console);
}

static void attach(struct fixture *f)
{
	static const struct console_port_ops ops = {
		.receive = receive,
		.resume = resume,
		.resize = resize,
	};
	const struct console_port port = { &ops, f, &f->lock };
	struct error err;

	assert_int_equal(
		console_attach(f->console, &port, f->loop, quit, f, &err), 0);
}

/* Standard input is fd; standard output is a pipe, read from f->reader. */
static void start_on_stdio(struct fixture *f, int fd)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	f->reader = ends[0];
	fflush(stdout);
	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	assert_int_equal(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
	close(ends[1]);
	open_console(f, (struct config_console){ .stdio = true });
	attach(f);
}

/* A terminal passes on what is written to it some time later. */
static void wait_for_input(int fd, size_t len)
{
	int there = 0;

	while (ioctl(fd, FIONREAD, &there) == 0 && there < (int)len)
		usleep(1000);
	assert_int_equal(there, len);
}

/* Has the event loop handle what is ready. */
static void turn(struct fixture *f)
{
	event_loop_stop(f->loop);
	event_loop_run(f->loop);
}

static size_t put(struct fixture *f, const char *text, size_t len)
{
	char copy[4096];
	struct iovec iov = { copy, len };

	assert_true(len <= sizeof(copy));
	memcpy(copy, text, len);
	return console_backend.put(f->console, &iov, 1);
}

/* Writes until the other end takes no more; returns how much it took. */
static size_t fill(struct fixture *f)
{
	static const char data[4096];
	size_t sum = 0, done;

	do
		sum += done = put(f, data, sizeof(data));
	while (done == sizeof(data) && sum < (1 << 20));
	return sum;
}

static void assert_got(struct fixture *f, const char *text)
{
	assert_int_equal(f->got_len, strlen(text));
	assert_memory_equal(f->got, text, f->got_len);
	f->got_len = 0;
}

static void write_old_file(struct fixture *f)
{
	FILE *file = fopen(f->path, "w");

	assert_non_null(file);
	fputs("of another VM", file);
	fclose(file);
}

static off_t file_size(struct fixture *f)
{
	struct stat st;

	return stat(f->path, &st) ? -1 : st.st_size;
}

static void a_file_is_emptied_once_there_is_a_vm(void **state)
{
	struct fixture *f = *state;

	write_old_file(f);
	open_console(f, (struct config_console){ .file = f->path });
	assert_int_equal(file_size(f), 13);
	attach(f);
	assert_int_equal(file_size(f), 0);
	assert_int_equal(put(f, "text", 4), 4);
	console_detach(f->console);
	attach(f); /* the guest has rebooted */
	assert_int_equal(put(f, "more", 4), 4);
	end(f);
	assert_int_equal(file_size(f), 8);
}

static void without_a_vm_a_new_file_goes_and_an_old_one_stays(void **state)
{
	struct fixture *f = *state;

	open_console(f, (struct config_console){ .file = f->path });
	assert_int_equal(file_size(f), 0);
	end(f);
	assert_int_equal(file_size(f), -1);
	write_old_file(f);
	open_console(f, (struct config_console){ .file = f->path });
	end(f);
	assert_int_equal(file_size(f), 13);
}

static void a_console_of_nothing_takes_everything(void **state)
{
	struct fixture *f = *state;

	open_console(f, (struct config_console){ .none = true });
	attach(f);
	assert_int_equal(put(f, "text", 4), 4);
	console_backend.room(f->console);
	assert_got(f, "");
}

static void open_fifo(struct fixture *f)
{
	assert_int_equal(mkfifo(f->path, 0600), 0);
	f->reader = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	open_console(f, (struct config_console){ .file = f->path });
	attach(f);
}

static void a_slow_reader_blocks_the_port_until_it_reads(void **state)
{
	struct fixture *f = *state;
	char data[8192];

	open_fifo(f);
	assert_true(fill(f) < 1 << 20);
	turn(f);
	assert_int_equal(f->resumes, 0);
	assert_int_equal(read(f->reader, data, sizeof(data)), sizeof(data));
	turn(f);
	assert_int_equal(f->resumes, 1);
	turn(f);
	assert_int_equal(f->resumes, 1);
}

static void a_flush_waits_for_the_reader_or_the_interrupt(void **state)
{
	struct fixture *f = *state;
	char data[8192];
	int ends[2];

	open_fifo(f);
	fill(f);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	console_flush(f->console, ends[0]);
	assert_int_equal(f->resumes, 0);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(read(f->reader, data, sizeof(data)), sizeof(data));
	console_flush(f->console, -1);
	assert_int_equal(f->resumes, 1);
	console_flush(NULL, -1);
}

static void without_a_reader_the_guest_goes_on(void **state)
{
	struct fixture *f = *state;

	open_fifo(f);
	close(f->reader);
	f->reader = -1;
	assert_int_equal(put(f, "text", 4), 4);
}

static void a_pty_is_raw_and_needs_nobody(void **state)
{
	struct fixture *f = *state;
	char data[8];
	int user;

	open_console(f, (struct config_console){ .pty = true });
	attach(f);
	assert_true(fill(f) >= 1 << 20);
	assert_int_equal(f->resumes, 0);
	user = open(ptsname(f->console->in), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(user >= 0);
	tcflush(user, TCIFLUSH);
	assert_int_equal(put(f, "a\nb", 3), 3);
	wait_for_input(user, 3);
	assert_int_equal(read(user, data, sizeof(data)), 3);
	assert_memory_equal(data, "a\nb", 3);
	assert_int_equal(write(user, "c\1x\r", 4), 4);
	wait_for_input(f->console->in, 4);
	turn(f);
	assert_got(f, "c\1x\r"); /* its keys are all the guest's */
	close(user);
}

static void input_that_the_port_does_not_take_is_not_read(void **state)
{
	struct fixture *f = *state;
	int ends[2], left;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(dprintf(ends[1], "%0300d", 7), 300);
	f->room = 2;
	start_on_stdio(f, ends[0]);
	turn(f);
	assert_got(f, "00");
	turn(f);
	assert_int_equal(ioctl(ends[0], FIONREAD, &left), 0);
	assert_int_equal(left, 300 - 256);
	f->room = 1000;
	console_backend.room(f->console);
	turn(f);
	assert_int_equal(f->got_len, 298);
	assert_int_equal(f->got[297], '7');
	close(ends[0]);
	close(ends[1]);
}

static void a_regular_file_is_read_to_its_end(void **state)
{
	struct fixture *f = *state;
	int fd;

	write_old_file(f);
	fd = open(f->path, O_RDONLY | O_CLOEXEC);
	f->room = 3;
	start_on_stdio(f, fd);
	assert_got(f, "of ");
	f->room = 100;
	console_backend.room(f->console);
	assert_got(f, "another VM");
	close(fd);
}

struct terminal {
	int user, fd;
	struct termios modes; /* as they were */
};

static struct terminal start_on_terminal(struct fixture *f)
{
	struct winsize size = { .ws_col = 80, .ws_row = 25 };
	struct terminal terminal;

	assert_int_equal(
		openpty(&terminal.user, &terminal.fd, NULL, NULL, &size), 0);
	assert_int_equal(tcgetattr(terminal.fd, &terminal.modes), 0);
	start_on_stdio(f, terminal.fd);
	return terminal;
}

static void type(struct fixture *f, const struct terminal *terminal,
		 const char *keys)
{
	size_t len = strlen(keys);

	assert_int_equal(write(terminal->user, keys, len), len);
	wait_for_input(terminal->fd, len);
	turn(f);
}

static void end_terminal(struct fixture *f, const struct terminal *terminal)
{
	end(f);
	close(terminal->user);
	close(terminal->fd);
}

static void a_terminal_is_raw_while_attached_and_tells_its_size(void **state)
{
	struct fixture *f = *state;
	struct terminal terminal = start_on_terminal(f);
	struct termios modes;

	assert_int_equal(f->columns, 80);
	assert_int_equal(f->rows, 25);
	assert_int_equal(tcgetattr(terminal.fd, &modes), 0);
	assert_false(modes.c_lflag & (ICANON | ECHO | ISIG));
	console_detach(f->console);
	assert_int_equal(tcgetattr(terminal.fd, &modes), 0);
	assert_int_equal(modes.c_lflag, terminal.modes.c_lflag);
	end_terminal(f, &terminal);
}

static void escape_keys_are_not_the_guests(void **state)
{
	struct fixture *f = *state;
	struct terminal terminal = start_on_terminal(f);
	char help[512];

	type(f, &terminal, "a\1");
	type(f, &terminal, "\1b");
	assert_got(f, "a\1b");
	type(f, &terminal, "\1?c\1hd");
	assert_got(f, "cd");
	assert_true(read(f->reader, help, sizeof(help)) > 0);
	assert_non_null(memmem(help, sizeof(help), "Ctrl-A x", 8));
	assert_int_equal(f->quits, 0);
	type(f, &terminal, "e\1xf");
	assert_int_equal(f->quits, 1);
	assert_got(f, "e");
	end_terminal(f, &terminal);
}

static void escape_keys_work_while_the_guest_takes_nothing(void **state)
{
	struct fixture *f = *state;
	struct terminal terminal;
	char keys[201];

	memset(keys, 'k', 200);
	keys[200] = '\0';
	f->room = 0;
	terminal = start_on_terminal(f);
	for (int i = 0; i < 10; i++)
		type(f, &terminal, keys);
	type(f, &terminal, "\1x");
	assert_int_equal(f->quits, 1);
	f->room = 4000;
	console_backend.room(f->console);
	assert_int_equal(f->got_len, 1024); /* what was typed behind is lost */
	end_terminal(f, &terminal);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_file_is_emptied_once_there_is_a_vm),
		TEST(without_a_vm_a_new_file_goes_and_an_old_one_stays),
		TEST(a_console_of_nothing_takes_everything),
		TEST(a_slow_reader_blocks_the_port_until_it_reads),
		TEST(a_flush_waits_for_the_reader_or_the_interrupt),
		TEST(without_a_reader_the_guest_goes_on),
		TEST(a_pty_is_raw_and_needs_nobody),
		TEST(input_that_the_port_does_not_take_is_not_read),
		TEST(a_regular_file_is_read_to_its_end),
		TEST(a_terminal_is_raw_while_attached_and_tells_its_size),
		TEST(escape_keys_are_not_the_guests),
		TEST(escape_keys_work_while_the_guest_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
