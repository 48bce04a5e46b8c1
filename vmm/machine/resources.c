#include "vmm/machine/resources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "devices/block/vhost_user_blk.h"
#include "devices/net/vhost_net.h"
#include "devices/net/vhost_user_net.h"
#include "devices/vhost_user_fs.h"
#include "devices/vsock/vsock_table.h"
#include "vmm/machine/kvm.h"

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

/* What this VM has opened a file as, in a way that bears no second; NULL:
 * nothing. */
static const char *opened_as(const struct resources *resources,
			     const struct vm_config *config,
			     const struct stat *st, bool readonly)
{
	for (unsigned i = 0; i < config->disk_count; i++)
		if (resources_is_open_as(st, resources->disks[i].fd) &&
		    !(readonly && config->disks[i].readonly))
			return config->disks[i].id;
	for (unsigned i = 0; i < config->pmem_count; i++)
		if (resources_is_open_as(st, resources->pmems[i].fd) &&
		    !(readonly && config->pmems[i].readonly))
			return "persistent memory";
	return NULL;
}

int resources_refuse_own_file(const struct resources *resources,
			      const struct vm_config *config, const char *path,
			      struct error *err)
{
	const char *use = NULL, *disk;
	struct stat st;

	if (stat(path, &st))
		return 0; /* a new file, or open() will say what is wrong */
	if (resources_is_open_as(&st, resources->kernel.fd))
		use = "the kernel";
	if (resources_is_open_as(&st, resources->initrd.fd))
		use = "the initrd";
	disk = opened_as(resources, config, &st, false);
	if (disk)
		use = disk;
	if (resources_is_open_as(&st, resources->pidfile_fd))
		use = "the pidfile";
	if (vsock_socket_is(&resources->vsock, &st))
		use = "the vsock socket";
	if (!use)
		return 0;
	return error_set(err, ERROR_USAGE, 0, "%s is %s of this VM", path, use);
}

/* disk_open() cannot know whose the lock is that it meets. */
static int open_disk_once(const struct resources *resources,
			  const struct vm_config *config,
			  const struct disk_options *wanted, struct disk *disk,
			  struct error *err)
{
	const char *other = NULL;
	struct stat st;

	if (stat(wanted->path, &st) == 0) /* or disk_open() says why not */
		other = opened_as(resources, config, &st, wanted->readonly);
	if (!other)
		return disk_open(wanted, disk, err);
	return error_set(err, ERROR_USAGE, 0,
			 "disk %s: is %s already, and shared only if both are "
			 "readonly",
			 wanted->path, other);
}

/* The connection is called NAME, and looks for its server again when it loses
 * it. NULL with err set. */
static struct vhost_user *connect_server(const struct vhost_user_kind *kind,
					 const char *name, const char *path,
					 struct error *err)
{
	const struct vhost_user_options options = {
		.kind = kind,
		.name = name,
		.path = path,
	};

	return vhost_user_create(&options, err);
}

static int open_disks(struct resources *resources,
		      const struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->disk_count; i++) {
		const struct config_disk *disk = &config->disks[i];
		const struct disk_options wanted = {
			.path = disk->path,
			.readonly = disk->readonly,
			.direct = disk->direct,
		};

		if (disk->vhost_user) {
			resources->disk_servers[i] =
				connect_server(&vhost_user_blk_kind, disk->id,
					       disk->vhost_user, err);
			if (!resources->disk_servers[i])
				return -1;
			continue;
		}
		if (open_disk_once(resources, config, &wanted,
				   &resources->disks[i], err))
			return error_wrap(err, "%s", disk->id);
	}
	return 0;
}

static int open_pmems(struct resources *resources,
		      const struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->pmem_count; i++) {
		const struct disk_options wanted = {
			.path = config->pmems[i].path,
			.readonly = config->pmems[i].readonly,
		};

		if (open_disk_once(resources, config, &wanted,
				   &resources->pmems[i], err))
			return error_wrap(err, "pmem");
	}
	return 0;
}

static int open_net_server(struct resources *resources, unsigned index,
			   const char *path, struct error *err)
{
	char name[16];

	snprintf(name, sizeof(name), "net%u", index);
	resources->nets[index].server =
		connect_server(&vhost_user_net_kind, name, path, err);
	return resources->nets[index].server ? 0 : -1;
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
	if (net->vhost &&
	    vhost_kernel_open(&resources->nets[index].kernel, VHOST_NET_PATH,
			      VHOST_NET_MODULE, err))
		return -1;
	if (net_tap_open(resources->nets[index].taps, queues, net->tap, err))
		return -1;
	resources->nets[index].tap_count = queues;
	return 0;
}

static void close_net(struct resources *resources, unsigned index)
{
	vhost_user_destroy(resources->nets[index].server);
	passt_stop(resources->nets[index].passt);
	for (unsigned i = 0; i < resources->nets[index].tap_count; i++)
		net_tap_close(&resources->nets[index].taps[i]);
	vhost_kernel_close(&resources->nets[index].kernel);
}

static int open_nets(struct resources *resources,
		     const struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->net_count; i++) {
		const char *socket = config->nets[i].vhost_user;

		/* whose connection says itself whose it is */
		if (socket && open_net_server(resources, i, socket, err))
			return -1;
		if (!socket && open_net(resources, config, i, err))
			return error_wrap(err, "net%u", i);
	}
	return 0;
}

bool resources_net_is_served(const struct resources *resources, unsigned index)
{
	const struct passt *passt = resources->nets[index].passt;

	return resources->nets[index].server ||
	       (passt && passt_is_vhost_user(passt));
}

struct vhost_user *resources_net_server(struct resources *resources,
					unsigned index, struct error *err)
{
	struct vhost_user **server = &resources->nets[index].server;

	if (!*server)
		*server = passt_connect(resources->nets[index].passt, err);
	return *server;
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

static void stop_share(struct share_server *share)
{
	/* it ends with its connection */
	vhost_user_destroy(share->conn);
	share->conn = NULL;
	virtiofsd_stop(&share->daemon);
}

int resources_serve_share(struct resources *resources,
			  const struct vm_config *config, unsigned index,
			  struct error *err)
{
	const struct config_share *wanted = &config->shares[index];
	struct share_server *share = &resources->shares[index];
	char name[VHOST_USER_FS_TAG_MAX + sizeof("share ")];
	struct vhost_user_options options = {
		.kind = &vhost_user_fs_kind,
		.name = name,
	};

	if (share->conn && vhost_user_is_ready(share->conn))
		return 0;
	stop_share(share);
	options.fd = virtiofsd_start(&share->daemon, wanted->path, wanted->tag,
				     wanted->readonly, err);
	if (options.fd < 0)
		return -1;
	snprintf(name, sizeof(name), "share %s", wanted->tag);
	share->conn = vhost_user_create(&options, err);
	if (share->conn)
		return 0;
	virtiofsd_explain(&share->daemon, err);
	return -1;
}

static int serve_shares(struct resources *resources,
			const struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->share_count; i++)
		if (resources_serve_share(resources, config, i, err))
			return -1;
	return 0;
}

bool resources_share_memory(const struct resources *resources)
{
	for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++)
		if (resources->disk_servers[i])
			return true;
	for (unsigned i = 0; i < CONFIG_NETS_MAX; i++)
		if (resources_net_is_served(resources, i))
			return true;
	return resources->shares[0].conn != NULL;
}

static void leave(struct vhost_user *server)
{
	if (server)
		vhost_user_drop(server, "the VM has ended");
}

void resources_leave_servers(struct resources *resources)
{
	for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++)
		leave(resources->disk_servers[i]);
	for (unsigned i = 0; i < CONFIG_NETS_MAX; i++)
		leave(resources->nets[i].server);
	for (unsigned i = 0; i < CONFIG_SHARES_MAX; i++)
		leave(resources->shares[i].conn);
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
		.memory_fd = -1,
	};
	for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++)
		resources->disks[i].fd = -1;
	for (unsigned i = 0; i < CONFIG_PMEMS_MAX; i++)
		resources->pmems[i].fd = -1;

	if (open_image(&resources->kernel, config->kernel, err)) {
		error_wrap(err, "kernel");
		goto fail;
	}
	if (config->initrd &&
	    open_image(&resources->initrd, config->initrd, err)) {
		error_wrap(err, "initrd");
		goto fail;
	}
	if (open_disks(resources, config, err) ||
	    open_pmems(resources, config, err) ||
	    open_nets(resources, config, err) ||
	    serve_shares(resources, config, err))
		goto fail;
	/* huge pages of the host's have no room for a file's, and what is
	 * shared is one file's alone */
	if (!config->memory.hugepages && !resources_share_memory(resources))
		lease_kernel(resources);
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

void resources_remove_files(const struct resources *resources)
{
	/* unless somebody has put another file there */
	if (resources->pidfile &&
	    is_file_at(resources->pidfile_fd, resources->pidfile))
		unlink(resources->pidfile);
	vsock_socket_remove(&resources->vsock);
}

void resources_close(struct resources *resources)
{
	resources_remove_files(resources);
	cleanup_close(&resources->pidfile_fd);
	vsock_socket_close(&resources->vsock);
	console_close(resources->hvc);
	console_close(resources->console);
	for (unsigned i = 0; i < CONFIG_SHARES_MAX; i++)
		stop_share(&resources->shares[i]);
	for (unsigned i = 0; i < CONFIG_NETS_MAX; i++)
		close_net(resources, i);
	for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++) {
		disk_close(resources->disks[i].fd);
		vhost_user_destroy(resources->disk_servers[i]);
	}
	for (unsigned i = 0; i < CONFIG_PMEMS_MAX; i++)
		disk_close(resources->pmems[i].fd);
	cleanup_close(&resources->memory_fd);
	cleanup_close(&resources->initrd.fd);
	cleanup_close(&resources->kernel.fd);
	cleanup_close(&resources->kvm_fd);
}
