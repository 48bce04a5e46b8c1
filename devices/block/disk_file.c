#include "devices/block/disk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/log.h"

#define SECTOR 512

/* What O_DIRECT is safe with on anything when the kernel does not tell. */
#define DIRECT_ALIGN_UNKNOWN 4096

/* A file system with larger blocks than this means the best size of a transfer,
 * not what is written as a whole: a megabyte on NFS, a huge page on tmpfs. */
#define FILE_BLOCK_MAX 65536

/* The page of most hosts' page caches, and the block of most file systems. */
#define FILE_BLOCK_USUAL 4096

/* The io_uring of a killed process holds the lock until the kernel has torn the
 * ring down, a moment after the end of the process. */
#define LOCK_TRIES 20
#define LOCK_PAUSE_US 25000

static bool is_power_of_two(uint32_t value)
{
	return value && !(value & (value - 1));
}

static int set_lock(int fd, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &lock);
}

static int lock_disk(int fd, const struct disk_options *options,
		     struct error *err)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (set_lock(fd, options->readonly ? F_RDLCK : F_WRLCK) == 0)
			return 0;
		if (errno != EAGAIN && errno != EACCES)
			break;
		usleep(LOCK_PAUSE_US);
	}
	if (errno == EAGAIN || errno == EACCES)
		return error_io(err, "disk %s: locked by another process",
				options->path);
	return error_set(err, ERROR_IO, errno, "disk %s: lock", options->path);
}

static int exact_size(int fd, const char *path, uint64_t *size,
		      struct error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return error_set(err, ERROR_IO, errno, "disk %s", path);
	if (S_ISREG(st.st_mode)) {
		*size = (uint64_t)st.st_size;
		return 0;
	}
	if (S_ISDIR(st.st_mode))
		return error_io(err, "disk %s: is a directory", path);
	if (!S_ISBLK(st.st_mode))
		return error_io(err,
				"disk %s: neither a file nor a block device",
				path);
	if (ioctl(fd, BLKGETSIZE64, size))
		return error_set(err, ERROR_IO, errno, "disk %s: size", path);
	return 0;
}

int disk_measure(int fd, const char *path, uint32_t block_size, uint64_t *size,
		 struct error *err)
{
	unsigned rest;

	if (exact_size(fd, path, size, err))
		return -1;
	rest = (unsigned)(*size % block_size);
	if (rest)
		log_warn(
			"disk %s: the last %u bytes are not a whole block and "
			"stay unused",
			path, rest);
	*size -= rest;
	return 0;
}

/* Checks that the descriptor is open as the options say. Clears O_NONBLOCK,
 * which was for open(): for io_uring it means not to wait for the disk. */
static int set_flags(int fd, const struct disk_options *options,
		     struct error *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK))
		return error_set(err, ERROR_IO, errno, "disk %s: flags",
				 options->path);
	if (!options->readonly && (flags & O_ACCMODE) != O_RDWR)
		return error_io(err, "disk %s: not open for writing",
				options->path);
	if (options->direct != !!(flags & O_DIRECT))
		return error_io(err, "disk %s: open %s O_DIRECT", options->path,
				options->direct ? "without" : "with");
	return 0;
}

/* Asks the kernel for the alignment that O_DIRECT needs (statx() tells since
 * Linux 6.1). A bare system call, as glibc's struct may be older than the
 * kernel's. */
static void direct_alignment(struct disk *disk)
{
	struct statx st = { 0 };

	disk->block_size = DIRECT_ALIGN_UNKNOWN;
	disk->mem_align = DIRECT_ALIGN_UNKNOWN;
	if (syscall(SYS_statx, disk->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN,
		    &st) ||
	    !(st.stx_mask & STATX_DIOALIGN))
		return;
	if (is_power_of_two(st.stx_dio_offset_align) &&
	    is_power_of_two(st.stx_dio_mem_align)) {
		disk->block_size = st.stx_dio_offset_align;
		disk->mem_align = st.stx_dio_mem_align;
	}
	if (disk->block_size < SECTOR)
		disk->block_size = SECTOR;
}

static void read_file(const struct stat *st, struct disk_topology *topology)
{
	uint32_t block = (uint32_t)st->st_blksize;

	topology->physical = is_power_of_two(block) && block <= FILE_BLOCK_MAX
				     ? block
				     : FILE_BLOCK_USUAL;
	topology->io_min = topology->physical;
	if (block > topology->physical)
		topology->io_opt = block;
}

static void read_device(int fd, struct disk_topology *topology)
{
	unsigned physical, io_min, io_opt;
	int offset;

	if (ioctl(fd, BLKPBSZGET, &physical) == 0)
		topology->physical = physical;
	if (ioctl(fd, BLKIOMIN, &io_min) == 0)
		topology->io_min = io_min;
	if (ioctl(fd, BLKIOOPT, &io_opt) == 0)
		topology->io_opt = io_opt;
	if (ioctl(fd, BLKALIGNOFF, &offset) == 0 && offset > 0)
		topology->offset = (uint32_t)offset;
}

void disk_topology_read(int fd, uint32_t block_size,
			struct disk_topology *topology)
{
	struct stat st;

	*topology = (struct disk_topology){ 0 };
	if (fstat(fd, &st) == 0) {
		if (S_ISBLK(st.st_mode))
			read_device(fd, topology);
		else
			read_file(&st, topology);
	}
	if (!is_power_of_two(topology->physical) ||
	    topology->physical < block_size)
		topology->physical = block_size;
	if (topology->offset >= topology->physical)
		topology->offset = 0;
	if (topology->io_min < topology->physical)
		topology->io_min = topology->physical;
}

static bool is_in_memory(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 &&
	       (fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC);
}

static int open_file(const struct disk_options *options, struct error *err)
{
	/* with O_NONBLOCK, a FIFO is refused later rather than waited for */
	int flags = O_CLOEXEC | O_NONBLOCK |
		    (options->readonly ? O_RDONLY : O_RDWR) |
		    (options->direct ? O_DIRECT : 0);
	int fd = open(options->path, flags);

	if (fd >= 0)
		return fd;
	if (errno == EISDIR)
		return error_io(err, "disk %s: is a directory", options->path);
	if (errno == EINVAL && options->direct)
		return error_io(err, "disk %s: the file system has no O_DIRECT",
				options->path);
	return error_set(err, ERROR_IO, errno, "disk %s", options->path);
}

int disk_take(int fd, const struct disk_options *options, struct disk *out,
	      struct error *err)
{
	struct disk disk = {
		.fd = fd,
		.readonly = options->readonly,
		.direct = options->direct,
		.block_size = SECTOR,
		.mem_align = 1,
	};

	if (disk.direct)
		direct_alignment(&disk);
	/* the size first: its message is the one for what is no disk at all */
	if (disk_measure(fd, options->path, disk.block_size, &disk.size, err) ||
	    set_flags(fd, options, err) || lock_disk(fd, options, err))
		return -1;
	disk.in_memory = is_in_memory(fd);
	disk_topology_read(fd, disk.block_size, &disk.topology);
	*out = disk;
	return 0;
}

int disk_open(const struct disk_options *options, struct disk *out,
	      struct error *err)
{
	autoclose int fd = open_file(options, err);

	if (fd < 0 || disk_take(fd, options, out, err))
		return -1;
	take_fd(&fd);
	return 0;
}

void disk_close(int fd)
{
	if (fd < 0)
		return;
	set_lock(fd, F_UNLCK);
	close(fd);
}
