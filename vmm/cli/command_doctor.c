/* onggi doctor: finds out by trying what this host allows. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <net/if.h>
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

static void say(enum verdict verdict, const char *what, const char *text)
{
	static const char *const words[] = { "ok", "--", "FAIL" };

	printf("%-4s  %-12s  %s\n", words[verdict], what, text);
}

/* Booting needs these two; the exit status is theirs. */
static int check_kvm(struct error *err)
{
	autoclose int fd = kvm_open(err);

	if (fd < 0) {
		say(FAILED, "KVM", err->text);
		return -1;
	}
	say(OK, "KVM", "/dev/kvm opens and has all that onggi needs");
	if (probe_kernel_mode(fd, err)) {
		say(FAILED, "kernel mode", err->text);
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
	char text[120];

	if (file && fgets(text, sizeof(text), file))
		count = strtoul(text, NULL, 10);
	if (count) {
		snprintf(text, sizeof(text), "%lu of 2 MiB are free: %lu MiB",
			 count, 2 * count);
		say(OK, "huge pages", text);
	} else {
		say(LIMITED, "huge pages",
		    "none are free; --memory SIZE,hugepages needs them: echo "
		    "128 > /proc/sys/vm/nr_hugepages reserves 256 MiB");
	}
	if (file)
		fclose(file);
}

static void check_tap(void)
{
	autoclose int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	char text[200];

	strcpy(request.ifr_name, "onggi%d");
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0) {
		say(OK, "tap", "taps can be created");
		return;
	}
	snprintf(text, sizeof(text),
		 "%s; have root create one: ip tuntap add NAME mode tap "
		 "vnet_hdr user USER",
		 strerror(errno));
	say(LIMITED, "tap", text);
}

static void check_passt(void)
{
	char path[PATH_MAX], text[PATH_MAX + sizeof(", over a stream socket")];
	bool vhost_user;

	if (!passt_find(path, &vhost_user)) {
		say(LIMITED, "passt",
		    "not installed; --net user needs it (Debian package "
		    "passt)");
		return;
	}
	snprintf(text, sizeof(text), "%s, over %s", path,
		 vhost_user ? "vhost-user" : "a stream socket");
	say(OK, "passt", text);
}

static void check_virtiofsd(void)
{
	char path[PATH_MAX];

	if (virtiofsd_find(path))
		say(OK, "virtiofsd", path);
	else
		say(LIMITED, "virtiofsd",
		    "not installed; --share needs it (Debian "
		    "package " VIRTIOFSD_PACKAGE ")");
}

static void check_io_uring(void)
{
	struct io_uring_params params = { 0 };
	autoclose int fd = (int)syscall(SYS_io_uring_setup, 1, &params);
	char text[200];

	if (fd >= 0) {
		say(OK, "io_uring", "works");
		return;
	}
	snprintf(text, sizeof(text),
		 "%s (see /proc/sys/kernel/io_uring_disabled); disks use "
		 "threads instead",
		 strerror(errno));
	say(LIMITED, "io_uring", text);
}

static void check_vhost(void)
{
	static const char *const paths[] = { "/dev/vhost-net",
					     "/dev/vhost-vsock" };

	for (unsigned i = 0; i < ARRAY_SIZE(paths); i++) {
		autoclose int fd = open(paths[i], O_RDWR | O_CLOEXEC);
		char text[80];

		snprintf(text, sizeof(text), "%s: %s", paths[i],
			 fd < 0 ? strerror(errno) : "opens");
		say(fd < 0 ? LIMITED : OK, "vhost", text);
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
