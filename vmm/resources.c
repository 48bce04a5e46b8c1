#include "vmm/resources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "devices/vsock_table.h"
#include "vmm/kvm.h"

static int open_image(struct boot_file *file, const char *path,
		      struct error *err)
{
	/* a named pipe must not keep us waiting here, but be refused */
	autoclose int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return error_set(err, ERROR_IMAGE, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_IMAGE, 0, "%s: not a regular file",
				 path);
	*file = (struct boot_file){
		.fd = take_fd(&fd),
		.size = (uint64_t)st.st_size,
		.name = path,
	};
	return 0;
}

/* Block devices may have several nodes, and then several inodes. */
static bool same_file(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool resources_is_open_as(const struct stat *st, int fd)
{
	struct stat open;

	return fd >= 0 && fstat(fd, &open) == 0 && same_file(&open, st);
}

int resources_refuse_own_file(const struct resources *resources,
			      const struct vm_config *config, const char *path,
			      struct error *err)
{
	const char *use = NULL;
	struct stat st;

	if (stat(path, &st))
		return 0; /* a new file, or open() will say what is wrong */
	if (resources_is_open_as(&st, resources->kernel.fd))
		use = "the kernel";
	if (resources_is_open_as(&st, resources->initrd.fd))
		use = "the initrd";
	for (unsigned i = 0; i < config->disk_count; i++)
		if (resources_is_open_as(&st, resources->disks[i].fd))
			use = config->disks[i].id;
	if (resources_is_open_as(&st, resources->pidfile_fd))
		use = "the pidfile";
	if (vsock_socket_is(&resources->vsock, &st))
		use = "the vsock socket";
	if (!use)
		return 0;
	return error_set(err, ERROR_USAGE, 0, "%s is %s of this VM", path, use);
}

/* disk_open() cannot know whose the lock is that it meets. */
static int refuse_disk_twice(const struct resources *resources,
			     const struct vm_config *config, unsigned index,
			     struct error *err)
{
	const struct config_disk *disk = &config->disks[index];
	struct stat st;

	if (stat(disk->path, &st))
		return 0; /* which disk_open() will say */
	for (unsigned i = 0; i < index; i++)
		if (resources_is_open_as(&st, resources->disks[i].fd) &&
		    !(disk->readonly && config->disks[i].readonly))
			return error_set(err, ERROR_USAGE, 0,
					 "disk %s: is %s already, and shared "
					 "only if both are readonly",
					 disk->path, config->disks[i].id);
	return 0;
}

static int open_disks(struct resources *resources,
		      const struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->disk_count; i++) {
		const struct config_disk *disk = &config->disks[i];
		const struct disk_config wanted = {
			.path = disk->path,
			.readonly = disk->readonly,
			.direct = disk->direct,
		};

		if (refuse_disk_twice(resources, config, i, err) ||
		    disk_open(&wanted, &resources->disks[i], err))
			return error_wrap(err, "%s", disk->id);
	}
	return 0;
}

_Static_assert(CONFIG_NET_QUEUES_MAX == NET_PAIRS_MAX, "a back end for each");

static int open_net(struct resources *resources, const struct vm_config *config,
		    unsigned index, struct error *err)
{
	const struct config_net *net = &config->nets[index];
	unsigned queues = net->queues ? (unsigned)net->queues : 1;

	if (net->user) {
		resources->nets[index].passt = passt_start(net, err);
		return resources->nets[index].passt ? 0 : -1;
	}
	if (net_tap_open(resources->nets[index].taps, queues, net->tap, err))
		return -1;
	resources->nets[index].tap_count = queues;
	return 0;
}

static void close_net(struct resources *resources, unsigned index)
{
	passt_stop(resources->nets[index].passt);
	for (unsigned i = 0; i < resources->nets[index].tap_count; i++)
		net_tap_close(&resources->nets[index].taps[i]);
}

static int open_nets(struct resources *resources,
		     const struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->net_count; i++)
		if (open_net(resources, config, i, err))
			return error_wrap(err, "net%u", i);
	return 0;
}

unsigned resources_net(struct resources *resources, unsigned index,
		       struct net_backend *backends[static NET_PAIRS_MAX])
{
	unsigned count = resources->nets[index].tap_count;

	if (resources->nets[index].passt) {
		backends[0] = passt_backend(resources->nets[index].passt);
		return 1;
	}
	for (unsigned i = 0; i < count; i++)
		backends[i] = &resources->nets[index].taps[i].backend;
	return count;
}

/* Opens and locks the file; the lock goes with the process, however it ends,
 * so that a file without one is stale. */
static int lock_pidfile(const char *path, struct error *err)
{
	autoclose int fd =
		open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0644);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return error_set(err, ERROR_IO, errno, "pidfile %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_IO, 0,
				 "pidfile %s: not a regular file", path);
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return take_fd(&fd);
	if (errno != EAGAIN && errno != EACCES)
		return error_set(err, ERROR_IO, errno, "pidfile %s", path);
	return error_set(err, ERROR_IO, 0,
			 "pidfile %s: another VM is running with it", path);
}

static bool is_file_at(int fd, const char *path)
{
	struct stat there;

	return stat(path, &there) == 0 && resources_is_open_as(&there, fd);
}

/* An old pidfile is taken over; anything else was named by mistake. */
static int check_old_content(int fd, const char *path, struct error *err)
{
	char text[64];
	ssize_t len = pread(fd, text, sizeof(text), 0);

	if (len < 0)
		return error_set(err, ERROR_IO, errno, "pidfile %s", path);
	for (ssize_t i = 0; i < len; i++)
		if (!strchr("0123456789\n", text[i]) || !text[i])
			return error_set(err, ERROR_IO, 0,
					 "pidfile %s: is another file: it "
					 "holds no process id",
					 path);
	return 0;
}

static int write_pidfile(struct resources *resources,
			 const struct vm_config *config, struct error *err)
{
	const char *path = config->pidfile;
	autoclose int fd = -1;

	if (resources_refuse_own_file(resources, config, path, err))
		return error_wrap(err, "pidfile");
	do {
		cleanup_close(&fd);
		fd = lock_pidfile(path, err);
		if (fd < 0)
			return -1;
		/* its owner may have removed it between open and lock */
	} while (!is_file_at(fd, path));
	if (check_old_content(fd, path, err))
		return -1;
	if (ftruncate(fd, 0) || dprintf(fd, "%d\n", getpid()) < 0) {
		int errnum = errno;

		unlink(path);
		return error_set(err, ERROR_IO, errnum, "pidfile %s", path);
	}
	resources->pidfile = path;
	resources->pidfile_fd = take_fd(&fd);
	return 0;
}

/* Each connection is a descriptor, and shells allow 1024 by default. What else
 * there is takes no more than another thousand. */
#define DESCRIPTORS (VSOCK_CONNECTIONS_MAX + 1024)

static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= DESCRIPTORS)
		return;
	limit.rlim_cur = DESCRIPTORS;
	if (limit.rlim_max < DESCRIPTORS)
		limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_vsock(struct resources *resources,
		      const struct vm_config *config, struct error *err)
{
	const char *path = config->vsock.path;

	if (!path)
		return 0;
	if (resources_refuse_own_file(resources, config, path, err))
		return error_wrap(err, "vsock");
	allow_descriptors();
	return vsock_socket_open(&resources->vsock, path, err);
}

/* Each would write over what the other wrote. Pipes and terminals may be
 * shared. */
static int refuse_shared_file(const char *path, const char *other,
			      struct error *err)
{
	struct stat a, b;

	if (!path || !other || stat(path, &a) || stat(other, &b) ||
	    !S_ISREG(a.st_mode) || !same_file(&a, &b))
		return 0;
	return error_set(err, ERROR_USAGE, 0, "%s is the console of this VM",
			 path);
}

static struct console *
open_console(const char *name, const struct config_console *console,
	     const struct resources *resources, const struct vm_config *config,
	     struct timeline *timeline, struct error *err)
{
	if (console->file &&
	    resources_refuse_own_file(resources, config, console->file, err)) {
		error_wrap(err, "%s", name);
		return NULL;
	}
	return console_open(name, console, timeline, err);
}

static int open_consoles(struct resources *resources,
			 const struct vm_config *config,
			 struct timeline *timeline, struct error *err)
{
	resources->console = open_console("console", &config->console,
					  resources, config, timeline, err);
	if (!resources->console)
		return -1;
	if (config->hvc.none)
		return 0;
	if (refuse_shared_file(config->hvc.file, config->console.file, err))
		return error_wrap(err, "hvc");
	resources->hvc = open_console("hvc", &config->hvc, resources, config,
				      timeline, err);
	return resources->hvc ? 0 : -1;
}

/* A lease is had by who owns the file or is root, while nobody writes to it.
 * Without one, the kernel is copied. */
static void lease_kernel(struct resources *resources)
{
	struct boot_file *kernel = &resources->kernel;

	kernel->steady = fcntl(kernel->fd, F_SETLEASE, F_RDLCK) == 0;
}

void resources_release_kernel(struct resources *resources)
{
	resources->kernel.steady = false;
	fcntl(resources->kernel.fd, F_SETLEASE, F_UNLCK);
}

int resources_open(struct resources *resources, const struct vm_config *config,
		   struct timeline *timeline, struct error *err)
{
	*resources = (struct resources){
		.kvm_fd = -1,
		.kernel.fd = -1,
		.initrd.fd = -1,
		.vsock.fd = -1,
		.pidfile_fd = -1,
	};
	for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++)
		resources->disks[i].fd = -1;

	if (open_image(&resources->kernel, config->kernel, err)) {
		error_wrap(err, "kernel");
		goto fail;
	}
	/* huge pages of the host's have no room for a file's */
	if (!config->memory.hugepages)
		lease_kernel(resources);
	if (config->initrd &&
	    open_image(&resources->initrd, config->initrd, err)) {
		error_wrap(err, "initrd");
		goto fail;
	}
	if (open_disks(resources, config, err) ||
	    open_nets(resources, config, err))
		goto fail;
	resources->kvm_fd = kvm_open(err);
	if (resources->kvm_fd < 0)
		goto fail;
	timeline_mark(timeline, TIMELINE_KVM_OPENED);
	/* before the consoles, whose files belong to the other VM if there is
	 * one */
	if (config->pidfile && write_pidfile(resources, config, err))
		goto fail;
	if (open_vsock(resources, config, err) ||
	    open_consoles(resources, config, timeline, err))
		goto fail;
	return 0;
fail:
	resources_close(resources);
	return -1;
}

void resources_close(struct resources *resources)
{
	/* unless somebody has put another file there */
	if (resources->pidfile &&
	    is_file_at(resources->pidfile_fd, resources->pidfile))
		unlink(resources->pidfile);
	cleanup_close(&resources->pidfile_fd);
	vsock_socket_close(&resources->vsock);
	console_close(resources->hvc);
	console_close(resources->console);
	for (unsigned i = 0; i < CONFIG_NETS_MAX; i++)
		close_net(resources, i);
	for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++)
		cleanup_close(&resources->disks[i].fd);
	cleanup_close(&resources->initrd.fd);
	cleanup_close(&resources->kernel.fd);
	cleanup_close(&resources->kvm_fd);
}
