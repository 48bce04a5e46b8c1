/* A virtio-blk device on a disk of 128 sectors, each filled with its number,
 * and the driver that sends it requests.
 */
#pragma once

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/le_types.h"
#include "devices/block/virtio_blk.h"
#include "tests/fake_driver.h"
#include "tests/sync_engine.h"

#define DISK_SIZE 65536
#define SECTORS (DISK_SIZE / 512)
#define INDIRECT (1ULL << VIRTIO_RING_F_INDIRECT_DESC)

/* On a memfd, which has no RWF_NOWAIT, so that all I/O goes to the engine;
 * on a file of a disk file system reads are served inline. */
struct fixture {
	struct fake_driver d;
	struct virtio_device *dev;
	struct disk disk;
	uint64_t header, data, status; /* one request's parts */
};

static struct fixture fixture;

/* What start() gives its device. */
static unsigned fixture_queues = 1;
static bool fixture_unsafe;
static struct rate_limits fixture_limits;

/* direct: 0, or the block size that O_DIRECT wants. */
static inline int start(void **state, bool readonly, unsigned direct,
			block_engine_create_fn *engine, int fd)
{
	struct fixture *f = &fixture;
	struct virtio_blk_options options = {
		.disk = &f->disk,
		.serial = "vda-serial",
		.queues = fixture_queues,
		.unsafe = fixture_unsafe,
		.limits = fixture_limits,
		.engine_create = engine,
	};
	uint8_t sector[512];
	struct error err;

	for (unsigned i = 0; i < SECTORS; i++) {
		memset(sector, (int)i, sizeof(sector));
		if (pwrite(fd, sector, sizeof(sector), 512 * i) < 0)
			return -1;
	}
	f->disk = (struct disk){
		.fd = fd,
		.readonly = readonly,
		.direct = direct,
		.size = DISK_SIZE,
		.block_size = direct ? direct : 512,
		.mem_align = direct ? direct : 1,
		.topology = { .physical = 4096,
			      .offset = 1024,
			      .io_min = 8192,
			      .io_opt = 1 << 20 },
	};
	sync_engine_hold = false;
	sync_engine_short = 0;
	sync_engine_flushes = 0;
	sync_engine_fallocates = 0;
	sync_engine_fallocate_error = 0;
	sync_engine_set_file_error = 0;
	fake_init(&f->d);
	f->dev = virtio_blk_create(&options, &f->d.mem, f->d.loop, &err);
	fake_attach(&f->d, f->dev);
	f->header = fake_alloc(&f->d, 16, 16);
	f->data = fake_alloc(&f->d, 8192, 4096);
	f->status = fake_alloc(&f->d, 16, 16);
	*state = f;
	return !f->dev;
}

static inline int setup(void **state)
{
	return start(state, false, 0, sync_engine_create,
		     memfd_create("disk", MFD_ALLOW_SEALING));
}

static inline int setup_readonly(void **state)
{
	return start(state, true, 0, sync_engine_create,
		     memfd_create("disk", MFD_ALLOW_SEALING));
}

static inline int setup_direct(void **state)
{
	return start(state, false, 512, sync_engine_create,
		     memfd_create("disk", MFD_ALLOW_SEALING));
}

static inline int setup_direct_4k(void **state)
{
	return start(state, false, 4096, sync_engine_create,
		     memfd_create("disk", MFD_ALLOW_SEALING));
}

/* The engine that the program uses, on a real file. */
static inline int setup_real(void **state)
{
	char path[] = "/tmp/onggi-blk-XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	return start(state, false, 0, NULL, fd);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	virtio_device_destroy(f->dev);
	virtio_device_destroy(NULL);
	close(f->disk.fd);
	fake_fini(&f->d);
	return 0;
}

static inline void set_header(struct fixture *f, uint64_t gpa, uint32_t type,
			      uint64_t sector)
{
	le32_t le_type = le32(type);
	le64_t le_sector = le64(sector);

	memcpy(fake_ptr(&f->d, gpa), &le_type, 4);
	memcpy(fake_ptr(&f->d, gpa + 8), &le_sector, 8);
}

static inline void submit_to(struct fixture *f, unsigned queue, uint32_t type,
			     uint64_t sector, uint32_t len)
{
	bool out = type == VIRTIO_BLK_T_OUT;
	struct fake_buffer b[] = { { f->header, 16 },
				   { f->data, len },
				   { f->status, 1 } };

	set_header(f, f->header, type, sector);
	*(uint8_t *)fake_ptr(&f->d, f->status) = 0xff;
	fake_add(&f->d, queue, b, out ? 2 : 1, out ? 1 : 2);
	fake_kick(&f->d, queue);
}

static inline void submit(struct fixture *f, uint32_t type, uint64_t sector,
			  uint32_t len)
{
	submit_to(f, 0, type, sector, len);
}

/* The status byte; *len is the used length. Lets the loop run while the
 * request is under way. */
static inline uint8_t finish_on(struct fixture *f, unsigned queue,
				uint32_t *len)
{
	uint32_t head;

	for (int i = 0; i < 5000; i++) {
		if (fake_get_used(&f->d, queue, &head, len))
			return *(uint8_t *)fake_ptr(&f->d, f->status);
		fake_run_loop(&f->d);
		usleep(i < 10 ? 0 : 1000);
	}
	fail_msg("the request never finishes");
	return 0xff;
}

static inline uint8_t finish(struct fixture *f, uint32_t *len)
{
	return finish_on(f, 0, len);
}

static inline uint8_t request(struct fixture *f, uint32_t type, uint64_t sector,
			      uint32_t size)
{
	uint32_t len;
	uint8_t status;

	submit(f, type, sector, size);
	status = finish(f, &len);
	assert_int_equal(len,
			 status == VIRTIO_BLK_S_OK && type == VIRTIO_BLK_T_IN
				 ? size + 1
				 : 1);
	return status;
}
