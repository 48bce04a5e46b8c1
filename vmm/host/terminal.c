#include "vmm/host/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

/* Static, because a signal handler gets no argument. terminal_set_raw() writes
 * them before it installs the handlers. */
static struct termios saved, raw;
static volatile sig_atomic_t is_raw;

/* Whether another job has the terminal. To change its modes would then stop
 * this process. */
static bool in_background(void)
{
	pid_t foreground = tcgetpgrp(STDIN_FILENO);

	return foreground > 0 && foreground != getpgrp();
}

static void apply(const struct termios *modes)
{
	if (is_raw && !in_background())
		tcsetattr(STDIN_FILENO, TCSANOW, modes);
}

void terminal_restore(void)
{
	apply(&saved);
	is_raw = 0;
}

static void restore_and_die(int signal)
{
	terminal_restore();
	raise(signal); /* SA_RESETHAND has removed this handler */
}

static void restore_and_stop(int signal)
{
	int errnum = errno;

	(void)signal;
	apply(&saved);
	raise(SIGSTOP);
	errno = errnum;
}

static void on_continue(int signal)
{
	int errnum = errno;

	(void)signal;
	apply(&raw);
	/* While other jobs had the terminal, they got this signal. */
	kill(getpid(), SIGWINCH);
	errno = errnum;
}

/* Whether the default action is to end the process. */
static bool kills(int signal)
{
	switch (signal) {
	case SIGCHLD:
	case SIGURG:
	case SIGWINCH:
	case SIGCONT:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
		return false;
	}
	return true;
}

/* Changes no signal that somebody else handles or ignores. sigaction() fails
 * for SIGKILL, SIGSTOP and the two signals that the C library uses itself. */
static void install(int signal, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	struct sigaction old;

	if (sigaction(signal, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
		sigaction(signal, &action, NULL);
}

static void install_handlers(void)
{
	for (int signal = 1; signal <= SIGRTMAX; signal++)
		if (kills(signal))
			install(signal, restore_and_die,
				(int)SA_RESETHAND | SA_NODEFER);
	install(SIGTSTP, restore_and_stop, SA_RESTART);
	install(SIGCONT, on_continue, SA_RESTART);
	atexit(terminal_restore);
}

void terminal_set_raw(void)
{
	static bool installed;

	if (tcgetattr(STDIN_FILENO, &saved))
		return;
	raw = saved;
	cfmakeraw(&raw);
	is_raw = 1;
	if (!installed)
		install_handlers();
	installed = true;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}
