/*
 * onggi's init: the first process of a guest that runs one command.
 *
 * It mounts the file systems that programs expect, runs the command or a shell
 * on the console, reaps orphans, tells the virtual machine monitor the exit
 * code and powers off. The kernel passes on what follows " -- " on its command
 * line:
 *
 *	init COMMAND [ARG]...
 *	init --sh64=BASE64	run the decoded text by sh -c
 *	init --quick-exit	say that user space is up, and restart at once
 *	init			a login shell
 *
 * It uses the headers of a C library but not the library, which would execute
 * CPUID at its start: each time, an x86 guest exits to the monitor.
 */
#include <asm/ioctls.h>
#include <errno.h>
#include <linux/fcntl.h>
#include <linux/if.h>
#include <linux/in.h>
#include <linux/mount.h>
#include <linux/reboot.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "init-libc.h"

/* -- Surroundings --------------------------------------------------------- */

/* Fails if it is mounted already or the kernel was built without it, and that
 * is fine. */
static void mount_on(const char *where, const char *type, unsigned long flags,
		     const char *options)
{
	call3(SYS_mkdirat, AT_FDCWD, where, 0755);
	call5(SYS_mount, type, where, type, flags, options);
}

static void mount_all(void)
{
	const unsigned long strict = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	mount_on("/dev", "devtmpfs", MS_NOSUID, "mode=755");
	mount_on("/proc", "proc", strict, NULL);
	mount_on("/sys", "sysfs", strict, NULL);
	mount_on("/sys/fs/cgroup", "cgroup2", strict, NULL);
	mount_on("/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		 "mode=620,gid=5,ptmxmode=666");
	mount_on("/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	mount_on("/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
	mount_on("/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
}

static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	long fd = call3(SYS_socket, AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		return;
	call3(SYS_ioctl, fd, SIOCSIFFLAGS, &request);
	call1(SYS_close, fd);
}

/* Takes the machine's name, for prompts and logs, from the root file system. */
static void set_hostname(void)
{
	char name[64];
	long fd = call3(SYS_openat, AT_FDCWD, "/etc/hostname", O_RDONLY);
	long length;

	if (fd < 0)
		return;
	length = call3(SYS_read, fd, name, sizeof(name));
	call1(SYS_close, fd);
	while (length > 0 && (unsigned char)name[length - 1] <= ' ')
		length--;
	if (length > 0)
		call2(SYS_sethostname, name, length);
}

/* -- The command ---------------------------------------------------------- */

/* Executes the program from the first folder that has it. Returns only on
 * failure: the error number. */
static long execute(const char *name, char **arguments, char **environment)
{
	static const char *const folders[] = {
		"/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/",
		"/usr/bin/", "/sbin/", "/bin/",
	};
	long result = -ENOENT;
	char path[4096];

	for (const char *c = name; *c; c++)
		if (*c == '/')
			return -call3(SYS_execve, name, arguments, environment);

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		size_t folder = length_of(folders[i]), length = length_of(name);

		if (folder + length + 1 > sizeof(path))
			break;
		for (size_t k = 0; k < folder; k++)
			path[k] = folders[i][k];
		for (size_t k = 0; k <= length; k++)
			path[folder + k] = name[k];
		long failed = call3(SYS_execve, path, arguments, environment);

		if (failed != -ENOENT)
			result = failed;
	}
	/* An initramfs may have busybox, but no links for its tools. */
	if (result == -ENOENT)
		call3(SYS_execve, "/bin/busybox", arguments, environment);
	return -result;
}

#define BIT(signal) (1UL << ((signal) - 1))

/* The signals of busybox's halt, poweroff and reboot, and of a child's end. */
#define AWAITED (BIT(SIGUSR1) | BIT(SIGUSR2) | BIT(SIGTERM) | BIT(SIGCHLD))
static const unsigned long awaited = AWAITED;

/* These are blocked in init, but not in the command. SIGTTOU is among them so
 * that init may use the terminal while the command's process group is in the
 * foreground. */
static const unsigned long blocked = AWAITED | BIT(SIGTTOU);

/* The kernel opened the console before /dev was mounted, so that programs could
 * not find its name. */
static void reopen_console(void)
{
	long fd = call3(SYS_openat, AT_FDCWD, "/dev/console", O_RDWR);

	if (fd < 0)
		return;
	for (int i = 0; i < 3; i++)
		call3(SYS_dup3, fd, i, 0);
	if (fd > 2)
		call1(SYS_close, fd);
}

/* The console belongs to init's own session. If it belonged to the command's,
 * the end of the command would hang up the console, and Linux would drop what
 * waits in its buffer. */
static void take_console(void)
{
	call1(SYS_setsid, 0);
	reopen_console();
	call3(SYS_ioctl, 0, TIOCSCTTY, 1);
	call5(SYS_rt_sigprocmask, SIG_BLOCK, &blocked, NULL,
	      sizeof(blocked), 0);
}

/* Runs in the child. Never returns. */
static void run(char **arguments, char **environment)
{
	static char *login_bash[] = { "-bash", NULL };
	static char *login_sh[] = { "-sh", NULL };
	long reason;

	/* In the foreground of the console, job control and ^C work. */
	call2(SYS_setpgid, 0, 0);
	int group = (int)call1(SYS_getpid, 0);

	call3(SYS_ioctl, 0, TIOCSPGRP, &group);
	call5(SYS_rt_sigprocmask, SIG_UNBLOCK, &blocked, NULL,
	      sizeof(blocked), 0);

	if (arguments[0]) {
		reason = execute(arguments[0], arguments, environment);
		complain(arguments[0], reason == ENOENT ? "not found" :
			 reason == EACCES ? "permission denied" :
			 "cannot be executed");
	} else {
		call3(SYS_execve, "/bin/bash", login_bash, environment);
		reason = -call3(SYS_execve, "/bin/sh", login_sh, environment);
		complain("/bin/sh", "no shell to start");
	}
	call1(SYS_exit_group, reason == ENOENT ? 127 : 126);
}

static unsigned char exit_code(int status)
{
	if ((status & 0x7f) == 0)
		return (unsigned char)(status >> 8);
	return (unsigned char)(128 + (status & 0x7f));
}

/* Reaps children until `child` ends or a signal asks for the end of the
 * machine. Returns whether the machine is to start again. */
static int wait_for(long child, unsigned char *code)
{
	int status = 0;
	long who;

	*code = 0;
	for (;;) {
		long signal = call5(SYS_rt_sigtimedwait, &awaited, NULL, NULL,
				    sizeof(awaited), 0);

		if (signal == SIGTERM)
			return 1;
		if (signal == SIGUSR1 || signal == SIGUSR2)
			return 0;
		do {
			who = call5(SYS_wait4, -1, &status, WNOHANG, 0, 0);
			if (who == child) {
				*code = exit_code(status);
				return 0;
			}
		} while (who > 0);
	}
}

/* The command's environment, made from the kernel's: HOME=/, TERM=linux and
 * each NAME=VALUE of the kernel's command line. */
static char **complete_environment(char **environment, int has_home)
{
	static char *result[80] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/", "USER=root", "LOGNAME=root",
	};
	size_t count = 4;

	if (has_home)
		result[1] = "HOME=/root";
	for (; *environment && count < 79; environment++)
		/* PATH came from an initrd, whose programs are gone. */
		if (!after(*environment, "HOME=") &&
		    !after(*environment, "ONGGI=") &&
		    !after(*environment, "PATH="))
			result[count++] = *environment;
	return result;
}

/* Returns whether the machine is to start again. */
static int run_command(char **arguments, char **environment,
		       unsigned char *code)
{
	static char *shell[] = { "sh", "-c", NULL, NULL };
	const char *encoded = arguments[0] ? after(arguments[0], "--sh64=") : NULL;
	int has_home = call1(SYS_chdir, "/root") == 0;

	if (encoded) {
		shell[2] = (char *)encoded;
		if (decode_base64(shell[2])) {
			complain("--sh64", "not base64");
			*code = 125;
			return 0;
		}
		arguments = shell;
	}
	environment = complete_environment(environment, has_home);
	take_console();

	/* clone() without sharing is fork(), and exists everywhere. */
	long child = call5(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (child == 0)
		run(arguments, environment);
	if (child < 0) {
		*code = 125;
		return 0;
	}
	return wait_for(child, code);
}

/* -- The end -------------------------------------------------------------- */

static void reboot(unsigned command)
{
	system_call(SYS_reboot, (long)LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		    command, 0, 0);
}

/* Waits until the terminal's buffer is empty. What is in it when the machine
 * ends would be lost. */
static void drain_console(void)
{
	call3(SYS_ioctl, 0, TCSBRK, 1);
}

/* Leaves a root disk clean: no process writes to it, and nothing is pending. */
static void settle_disks(void)
{
	call2(SYS_kill, -1, SIGKILL);
	call1(SYS_sync, 0);
	call5(SYS_mount, NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
}

/* Called by _start with the stack as the kernel left it: argc, argv, envp. */
__attribute__((noreturn, used)) void start(long *stack)
{
	long count = stack[0];
	char **arguments = (char **)(stack + 1);
	char **environment = arguments + count + 1;
	int under_onggi = get_environment(environment, "ONGGI") != NULL;
	unsigned char code;
	int restart;

	if (count > 1 && equal(arguments[1], "--quick-exit")) {
		if (under_onggi) {
			write_register(POWER_BOOT_MARK, 1);
			write_register(POWER_SLEEP_CONTROL, POWER_OFF_VALUE);
		}
		reboot(LINUX_REBOOT_CMD_RESTART);
	}

	mount_all();
	if (under_onggi)
		write_register(POWER_BOOT_MARK, 1);
	loopback_up();
	set_hostname();
	restart = run_command(count > 0 ? arguments + 1 : arguments, environment,
			      &code);
	settle_disks();
	drain_console();
	if (under_onggi && !restart) {
		/* This also works without ACPI, where reboot() would halt. */
		write_register(POWER_EXIT_CODE, code);
		write_register(POWER_SLEEP_CONTROL, POWER_OFF_VALUE);
	}
	reboot(!restart && machine_can_power_off() ? LINUX_REBOOT_CMD_POWER_OFF :
	       LINUX_REBOOT_CMD_RESTART);
	for (;;)
		call5(SYS_ppoll, NULL, 0, NULL, NULL, 0);
}
