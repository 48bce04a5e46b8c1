/* virtio-blk on a 64 KiB disk, with rings and requests from the input. I/O is
 * synchronous, so that a crash repeats.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/block/virtio_blk_device.h"
#include "tests/fuzz/fuzz_driver.h"
#include "tests/sync_engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DISK_SIZE 65536

struct params {
	/* bits 28 and 29, FLUSH, DISCARD, WRITE_ZEROES, MQ */
	uint8_t features;
	/* bit 0: read-only, bit 1: direct, bit 2: fallocate() fails, bit 3: for
	 * good, bit 4: limited, bit 5: shrinks after the first kick, bit 6: is
	 * exchanged then, bit 7: which the engine refuses */
	uint8_t disk;
	/* 0x20: of both queues, 0x40: stop the first, 0x80: the engine is
	 * slow */
	uint8_t kicks;
	uint8_t short_io;
};

static uint32_t features(const struct params *p)
{
	static const uint8_t bits[] = { 28,
					29,
					VIRTIO_BLK_F_FLUSH,
					VIRTIO_BLK_F_DISCARD,
					VIRTIO_BLK_F_WRITE_ZEROES,
					VIRTIO_BLK_F_MQ };
	uint32_t wanted = 0;

	for (unsigned i = 0; i < sizeof(bits); i++)
		wanted |= (uint32_t)(p->features >> i & 1) << bits[i];
	return wanted;
}

/* A limit of two operations, and of a kilobyte, until the event loop runs. */
static const struct rate_limits limits = {
	.bytes = { 1000000000, 1024 },
	.ops = { 1000000000, 2 },
};
static int64_t now;

static int64_t fuzz_clock(void)
{
	return now;
}

static void run_loop(struct event_loop *loop)
{
	now += 1000000;
	event_loop_run(loop);
}

static void on_swapped(void *ctx, int result)
{
	(void)result;
	*(bool *)ctx = true;
}

/* Whether the device has let go of the first disk, or none was to come. */
static bool change_disk(struct virtio_device *dev, const struct params *p,
			const struct disk *disk, bool *swapped)
{
	struct disk other = *disk;
	struct error err;

	pthread_mutex_lock(&dev->lock);
	if (p->disk & 0x20)
		virtio_blk_resize(dev, DISK_SIZE / 2 + 5);
	other.size = DISK_SIZE / 4;
	if (p->disk & 0x40 &&
	    virtio_blk_swap(dev, &other, on_swapped, swapped, &err))
		abort();
	pthread_mutex_unlock(&dev->lock);
	return !(p->disk & 0x40);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct guest_mem mem = { 0 };
	uint8_t *ram = fuzz_ram_create(&mem);
	struct event_loop *loop = fuzz_loop();
	struct disk disk = { .size = DISK_SIZE, .block_size = 512 };
	struct virtio_blk_options options = {
		.disk = &disk,
		.engine_create = sync_engine_create,
	};
	struct virtio_device *dev;
	struct virtio_mmio *mmio;
	struct params p;
	struct error err;
	bool swapped = false, at_rest = true;
	static int disk_fd = -1;

	if (disk_fd < 0)
		disk_fd = memfd_create("disk", MFD_CLOEXEC);
	/* zeros again: no run sees what another wrote */
	if (ftruncate(disk_fd, 0) || ftruncate(disk_fd, DISK_SIZE))
		abort();
	fuzz_take(&in, &p, sizeof(p));
	fuzz_take(&in, ram, FUZZ_RAM_SIZE);
	disk.fd = disk_fd;
	disk.readonly = p.disk & 1;
	disk.direct = p.disk & 2;
	disk.mem_align = disk.direct ? 512 : 1;
	options.queues = p.kicks & 0x20 ? 2 : 1;
	sync_engine_short = p.short_io;
	sync_engine_hold = p.kicks & 0x80;
	sync_engine_fallocate_error = p.disk & 8   ? EOPNOTSUPP
				      : p.disk & 4 ? EINVAL
						   : 0;
	sync_engine_set_file_error = p.disk & 0x80 ? ENOMEM : 0;
	if (p.disk & 0x10)
		options.limits = limits;
	dev = virtio_blk_create(&options, &mem, loop, &err);
	blk_from_dev(dev)->limiter.clock = fuzz_clock;
	now = blk_from_dev(dev)->limiter.ops.full_at;
	mmio = fuzz_attach(dev);
	fuzz_bring_up(mmio, options.queues,
		      features(&p) & (uint32_t)dev->features);
	for (int i = 0; i <= p.kicks % 4; i++) {
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_NOTIFY, 1);
		if (i == 0)
			at_rest = change_disk(dev, &p, &disk, &swapped);
		run_loop(loop);
	}
	if (p.kicks & 0x40) {
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_SEL, 0);
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_READY, 0);
		sync_engine_hold = false;
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		run_loop(loop);
	}
	fuzz_write_register(mmio, VIRTIO_MMIO_STATUS, 0);
	virtio_mmio_destroy(mmio);
	virtio_device_destroy(dev);
	if (!swapped && !at_rest)
		abort();
	free(ram);
	return 0;
}
