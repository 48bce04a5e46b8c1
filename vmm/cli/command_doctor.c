/* onggi doctor: tries what this host allows. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "vmm/cli/commands.h"
#include "vmm/host/passt.h"
#include "vmm/host/virtiofsd.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/probe.h"

enum verdict { OK, LIMITED, FAILED };

__attribute__((format(printf, 3, 4))) static void
say(enum verdict verdict, const char *what, const char *fmt, ...)
{
	static const char *const words[] = { "ok", "--", "FAIL" };
	va_list args;

	printf("%-4s  %-12s  ", words[verdict], what);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

/* Guests boot if KVM and kernel mode are fine; the exit status says so. */
static int check_kvm(struct error *err)
{
	autoclose int fd = kvm_open(err);

	if (fd < 0) {
		say(FAILED, "KVM", "%s", err->text);
		return -1;
	}
	say(OK, "KVM", "/dev/kvm opens and has all that onggi needs");
	if (probe_kernel_mode(fd, err)) {
		say(FAILED, "kernel mode", "%s", err->text);
		say(FAILED, "",
		    "guest kernels cannot run on this machine: use one with "
		    "hardware (or nested)");
		say(FAILED, "",
		    "virtualization, or the emulated machine of "
		    "tests/testbed/run");
		return -1;
	}
	say(OK, "kernel mode", "a vCPU runs kernel code");
	return 0;
}

static void check_huge_pages(void)
{
	static const char path[] =
		"/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
	FILE *file = fopen(path, "re");
	unsigned long count = 0;
	char text[32];

	if (file && fgets(text, sizeof(text), file))
		count = strtoul(text, NULL, 10);
	if (count)
		say(OK, "huge pages", "%lu of 2 MiB are free: %lu MiB", count,
		    2 * count);
	else
		say(LIMITED, "huge pages",
		    "none are free; --memory SIZE,hugepages needs them: echo "
		    "128 > /proc/sys/vm/nr_hugepages reserves 256 MiB");
	if (file)
		fclose(file);
}

static void check_tap(void)
{
	autoclose int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	strcpy(request.ifr_name, "onggi%d");
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0)
		say(OK, "tap", "taps can be created");
	else
		say(LIMITED, "tap",
		    "%s; have root create one: ip tuntap add NAME mode tap "
		    "vnet_hdr user USER",
		    strerror(errno));
}

static void check_passt(void)
{
	char path[PATH_MAX];
	bool vhost_user;

	if (passt_find(path, &vhost_user))
		say(OK, "passt", "%s, over %s", path,
		    vhost_user ? "vhost-user" : "a stream socket");
	else
		say(LIMITED, "passt",
		    "not installed; --net user needs it (Debian package "
		    "passt)");
}

static void check_virtiofsd(void)
{
	char path[PATH_MAX];

	if (virtiofsd_find(path))
		say(OK, "virtiofsd", "%s", path);
	else
		say(LIMITED, "virtiofsd",
		    "not installed; --share needs it (Debian "
		    "package " VIRTIOFSD_PACKAGE ")");
}

static void check_io_uring(void)
{
	struct io_uring_params params = { 0 };
	autoclose int fd = (int)syscall(SYS_io_uring_setup, 1, &params);

	if (fd >= 0)
		say(OK, "io_uring", "works");
	else
		say(LIMITED, "io_uring",
		    "%s (see /proc/sys/kernel/io_uring_disabled); disks use "
		    "threads instead",
		    strerror(errno));
}

static void check_vhost(void)
{
	static const char *const paths[] = { "/dev/vhost-net",
					     "/dev/vhost-vsock" };

	for (unsigned i = 0; i < ARRAY_SIZE(paths); i++) {
		autoclose int fd = open(paths[i], O_RDWR | O_CLOEXEC);

		say(fd < 0 ? LIMITED : OK, "vhost", "%s: %s", paths[i],
		    fd < 0 ? strerror(errno) : "opens");
	}
}

int command_doctor(int argc, char **argv)
{
	bool help = false, quiet = false;
	struct error err;
	int status = 0;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--quiet") == 0) {
			quiet = true;
		} else if (strcmp(argv[i], "--help") == 0 ||
			   strcmp(argv[i], "-h") == 0) {
			help = true;
		} else {
			log_error("doctor: unexpected '%s'", argv[i]);
			return ERROR_USAGE;
		}
	}
	if (help) {
		puts("usage: onggi doctor [--quiet]\n\n"
		     "Tests what this host allows. Exit status 0 when guests "
		     "can boot, 69 when not;\n--quiet prints nothing.");
		return 0;
	}
	if (quiet) {
		autoclose int fd = kvm_open(&err);

		return fd < 0 || probe_kernel_mode(fd, &err) ? ERROR_KVM : 0;
	}
	if (check_kvm(&err))
		status = ERROR_KVM;
	check_huge_pages();
	check_tap();
	check_passt();
	check_virtiofsd();
	check_io_uring();
	check_vhost();
	return status;
}
