#include "tests/unit/unit.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/block/disk_file.h"

static char dir[] = "/tmp/onggi-disk-XXXXXX";
static char path[64];

static int setup(void **state)
{
	int fd;

	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/disk", dir);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	if (fd < 0 || ftruncate(fd, 65536))
		return -1;
	return close(fd);
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static int open_disk(bool readonly, bool direct, struct disk *disk,
		     struct error *err)
{
	struct disk_options options = { path, readonly, direct };

	return disk_open(&options, disk, err);
}

static void a_file_opens_with_its_size(void **state)
{
	struct disk disk;
	struct error err;

	(void)state;
	assert_int_equal(open_disk(false, false, &disk, &err), 0);
	assert_int_equal(disk.size, 65536);
	assert_int_equal(disk.block_size, 512);
	assert_int_equal(disk.mem_align, 1);
	assert_true(fcntl(disk.fd, F_GETFD) & FD_CLOEXEC);
	/* io_uring would answer EAGAIN rather than wait for the disk */
	assert_false(fcntl(disk.fd, F_GETFL) & O_NONBLOCK);
	close(disk.fd);
}

static void an_odd_size_is_rounded_down(void **state)
{
	struct disk disk;
	struct error err;

	(void)state;
	assert_int_equal(truncate(path, 65536 + 511), 0);
	assert_int_equal(open_disk(false, false, &disk, &err), 0);
	assert_int_equal(disk.size, 65536);
	close(disk.fd);
}

static void a_writer_excludes_everyone(void **state)
{
	struct disk writer, other;
	struct error err;
	char want[128];

	(void)state;
	assert_int_equal(open_disk(false, false, &writer, &err), 0);
	assert_int_equal(open_disk(true, false, &other, &err), -1);
	snprintf(want, sizeof(want), "disk %s: locked by another process",
		 path);
	assert_string_equal(err.text, want);
	assert_int_equal(open_disk(false, false, &other, &err), -1);
	close(writer.fd);
	assert_int_equal(open_disk(false, false, &other, &err), 0);
	close(other.fd);
}

static void readers_share_and_exclude_writers(void **state)
{
	struct disk a, b, writer;
	struct error err;

	(void)state;
	assert_int_equal(open_disk(true, false, &a, &err), 0);
	assert_int_equal(open_disk(true, false, &b, &err), 0);
	assert_int_equal(open_disk(false, false, &writer, &err), -1);
	close(a.fd);
	close(b.fd);
}

static void what_is_no_disk_is_refused_by_name(void **state)
{
	struct disk_options options = { .path = dir };
	struct disk disk;
	struct error err;
	char fifo[64];

	(void)state;
	assert_int_equal(disk_open(&options, &disk, &err), -1);
	assert_non_null(strstr(err.text, ": is a directory"));
	options.readonly = true;
	assert_int_equal(disk_open(&options, &disk, &err), -1);
	assert_non_null(strstr(err.text, ": is a directory"));
	options.path = "/dev/null";
	assert_int_equal(disk_open(&options, &disk, &err), -1);
	assert_non_null(strstr(err.text, "neither a file nor"));
	options.path = "/nonexistent/disk";
	assert_int_equal(disk_open(&options, &disk, &err), -1);
	assert_string_equal(err.text,
			    "disk /nonexistent/disk: No such file "
			    "or directory");
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	options.path = fifo;
	assert_int_equal(disk_open(&options, &disk, &err), -1);
	unlink(fifo);
}

/* --- descriptors that somebody else has opened --- */

static int take(int flags, bool readonly, bool direct, struct disk *disk,
		struct error *err)
{
	const struct disk_options options = { "given", readonly, direct };
	int fd = open(path, flags | O_CLOEXEC), ret;

	assert_true(fd >= 0);
	ret = disk_take(fd, &options, disk, err);
	if (ret == 0)
		assert_int_equal(disk->fd, fd);
	else
		assert_int_equal(close(fd), 0); /* still open */
	return ret;
}

static void an_open_file_is_taken_like_one_that_is_opened(void **state)
{
	struct disk opened, disk;
	struct error err;

	(void)state;
	assert_int_equal(truncate(path, 65536 + 100), 0);
	assert_int_equal(open_disk(false, false, &opened, &err), 0);
	disk_close(opened.fd);
	assert_int_equal(take(O_RDWR | O_NONBLOCK, false, false, &disk, &err),
			 0);
	assert_int_equal(disk.size, 65536);
	assert_int_equal(disk.block_size, opened.block_size);
	assert_int_equal(disk.mem_align, opened.mem_align);
	assert_int_equal(disk.in_memory, opened.in_memory);
	assert_memory_equal(&disk.topology, &opened.topology,
			    sizeof(disk.topology));
	assert_false(fcntl(disk.fd, F_GETFL) & O_NONBLOCK);
	/* and has the lock */
	assert_int_equal(open_disk(true, false, &opened, &err), -1);
	disk_close(disk.fd);
}

static void a_file_that_is_open_in_another_way_is_refused(void **state)
{
	struct disk disk;
	struct error err;

	(void)state;
	assert_int_equal(take(O_RDONLY, false, false, &disk, &err), -1);
	assert_string_equal(err.text, "disk given: not open for writing");
	assert_int_equal(take(O_RDWR, false, true, &disk, &err), -1);
	assert_string_equal(err.text, "disk given: open without O_DIRECT");
	/* more than is needed does no harm */
	assert_int_equal(take(O_RDWR, true, false, &disk, &err), 0);
	assert_true(disk.readonly);
	disk_close(disk.fd);
}

static void what_is_taken_may_be_no_disk_or_locked(void **state)
{
	struct disk_options options = { "given", true, false };
	struct disk disk, locked;
	struct error err;
	int fd = open(dir, O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(disk_take(fd, &options, &disk, &err), -1);
	assert_string_equal(err.text, "disk given: is a directory");
	close(fd);
	assert_int_equal(open_disk(false, false, &locked, &err), 0);
	assert_int_equal(take(O_RDWR, false, false, &disk, &err), -1);
	assert_string_equal(err.text, "disk given: locked by another process");
	disk_close(locked.fd);
}

static void closing_releases_the_lock_in_spite_of_copies(void **state)
{
	struct disk disk;
	struct error err;
	int copy;

	(void)state;
	assert_int_equal(open_disk(false, false, &disk, &err), 0);
	copy = dup(disk.fd);
	disk_close(disk.fd);
	assert_int_equal(open_disk(false, false, &disk, &err), 0);
	disk_close(disk.fd);
	close(copy);
	disk_close(-1);
}

/* --- O_DIRECT and block devices --- */

static void a_direct_disk_knows_its_alignment(void **state)
{
	struct disk disk;
	struct error err;

	(void)state;
	if (open_disk(false, true, &disk, &err)) {
		assert_non_null(strstr(err.text, "O_DIRECT"));
		skip();
	}
	assert_true(fcntl(disk.fd, F_GETFL) & O_DIRECT);
	assert_false(fcntl(disk.fd, F_GETFL) & O_NONBLOCK);
	assert_true(disk.block_size >= 512);
	assert_int_equal(disk.block_size & (disk.block_size - 1), 0);
	assert_int_equal(disk.mem_align & (disk.mem_align - 1), 0);
	assert_int_equal(disk.size % disk.block_size, 0);
	close(disk.fd);
}

static void a_file_likes_the_blocks_of_its_file_system(void **state)
{
	struct disk_topology topology;
	int fd = memfd_create("disk", MFD_CLOEXEC);
	struct stat st;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	disk_topology_read(fd, 512, &topology);
	assert_int_equal(topology.physical,
			 st.st_blksize > 65536 ? 4096 : st.st_blksize);
	assert_int_equal(topology.io_min, topology.physical);
	assert_int_equal(topology.io_opt,
			 st.st_blksize > 65536 ? st.st_blksize : 0);
	assert_int_equal(topology.offset, 0);
	disk_topology_read(fd, 1 << 20, &topology);
	assert_int_equal(topology.physical, 1 << 20);
	assert_int_equal(topology.io_min, 1 << 20);
	disk_topology_read(-1, 512, &topology);
	assert_int_equal(topology.physical, 512);
	close(fd);
}

/* The path of a loop device with sectors of 4 KiB on the file, which goes away
 * with its last descriptor, *keep; false without the right to make one. */
static bool make_block_device(char *device, size_t size, int *keep)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int file = open(path, O_RDWR | O_CLOEXEC), number = -1;
	struct loop_config config = {
		.fd = (uint32_t)file,
		.block_size = 4096,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR,
	};

	if (control >= 0) {
		number = ioctl(control, LOOP_CTL_GET_FREE);
		close(control);
	}
	snprintf(device, size, "/dev/loop%d", number);
	*keep = number < 0 ? -1 : open(device, O_RDWR | O_CLOEXEC);
	if (*keep >= 0 && ioctl(*keep, LOOP_CONFIGURE, &config)) {
		close(*keep);
		*keep = -1;
	}
	close(file);
	return *keep >= 0;
}

static void a_block_device_tells_what_it_is(void **state)
{
	struct disk_options options = { 0 };
	char device[32];
	struct disk disk;
	struct error err;
	int keep;

	(void)state;
	if (!make_block_device(device, sizeof(device), &keep))
		skip();
	options.path = device;
	assert_int_equal(disk_open(&options, &disk, &err), 0);
	assert_int_equal(disk.size, 65536);
	assert_int_equal(disk.block_size, 512);
	assert_true(disk.topology.physical >= 4096);
	assert_true(disk.topology.io_min >= disk.topology.physical);
	close(disk.fd);
	options.direct = true;
	assert_int_equal(disk_open(&options, &disk, &err), 0);
	assert_int_equal(disk.block_size, 4096);
	assert_true(disk.topology.physical >= 4096);
	close(disk.fd);
	close(keep);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_file_opens_with_its_size),
		TEST(an_odd_size_is_rounded_down),
		TEST(a_writer_excludes_everyone),
		TEST(readers_share_and_exclude_writers),
		TEST(what_is_no_disk_is_refused_by_name),
		TEST(an_open_file_is_taken_like_one_that_is_opened),
		TEST(a_file_that_is_open_in_another_way_is_refused),
		TEST(what_is_taken_may_be_no_disk_or_locked),
		TEST(closing_releases_the_lock_in_spite_of_copies),
		TEST(a_direct_disk_knows_its_alignment),
		TEST(a_file_likes_the_blocks_of_its_file_system),
		TEST(a_block_device_tells_what_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
