#include "devices/block/disk_topology.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* A file system with larger blocks than this means the best size of a transfer,
 * not what is written as a whole: a megabyte on NFS, a huge page on tmpfs. */
#define FILE_BLOCK_MAX 65536

/* The page of most hosts' page caches, and the block of most file systems. */
#define FILE_BLOCK_USUAL 4096

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
