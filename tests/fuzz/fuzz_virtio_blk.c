/* virtio-blk on a 64 KiB disk, with rings and requests from the input. I/O is
 * synchronous, so that a crash repeats.
 */
#include <linux/virtio_mmio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_mmio.h"
#include "tests/fuzz/fuzz_ram.h"
#include "tests/sync_engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DISK_SIZE 65536
#define DESC FUZZ_RAM_BASE
#define AVAIL (FUZZ_RAM_BASE + 0x100)
#define USED (FUZZ_RAM_BASE + 0x180)

struct params {
	uint8_t features; /* bits 28 and 29 */
	uint8_t disk;	  /* bit 0: read-only, bit 1: direct */
	uint8_t kicks;
	uint8_t short_io;
};

static void write_register(struct virtio_mmio *mmio, uint64_t offset,
			   uint32_t value)
{
	virtio_mmio_bus_ops.write(mmio, offset, 4, value);
}

static void bring_up(struct virtio_mmio *mmio, uint8_t features)
{
	write_register(mmio, VIRTIO_MMIO_STATUS, 3);
	write_register(mmio, VIRTIO_MMIO_DRIVER_FEATURES,
		       (uint32_t)(features & 3) << 28);
	write_register(mmio, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	write_register(mmio, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	write_register(mmio, VIRTIO_MMIO_STATUS, 11);
	write_register(mmio, VIRTIO_MMIO_QUEUE_NUM, 16);
	write_register(mmio, VIRTIO_MMIO_QUEUE_DESC_LOW, DESC);
	write_register(mmio, VIRTIO_MMIO_QUEUE_AVAIL_LOW, AVAIL);
	write_register(mmio, VIRTIO_MMIO_QUEUE_USED_LOW, USED);
	write_register(mmio, VIRTIO_MMIO_QUEUE_READY, 1);
	write_register(mmio, VIRTIO_MMIO_STATUS, 15);
}

static struct event_loop *loop;
static int irq_fd, disk_fd;

static void set_up_once(void)
{
	struct error err;

	if (loop)
		return;
	log_set_level(LOG_ERROR);
	loop = event_loop_create(&err);
	event_loop_stop(loop);
	irq_fd = eventfd(0, EFD_NONBLOCK);
	disk_fd = memfd_create("disk", MFD_CLOEXEC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct guest_mem mem = { 0 };
	uint8_t *ram = fuzz_ram_create(&mem);
	struct virtio_mmio_config config = { 0 };
	struct disk disk = { .size = DISK_SIZE, .block_size = 512 };
	struct virtio_blk_options options = {
		.disk = &disk,
		.engine_create = sync_engine_create,
	};
	struct virtio_device *dev;
	struct virtio_mmio *mmio;
	struct params p;
	struct error err;

	set_up_once();
	/* zeros again: no run sees what another wrote */
	if (ftruncate(disk_fd, 0) || ftruncate(disk_fd, DISK_SIZE))
		abort();
	fuzz_take(&in, &p, sizeof(p));
	fuzz_take(&in, ram, FUZZ_RAM_SIZE);
	disk.fd = disk_fd;
	disk.readonly = p.disk & 1;
	disk.direct = p.disk & 2;
	disk.mem_align = disk.direct ? 512 : 1;
	config.irq.fd = irq_fd;
	sync_engine_short = p.short_io;
	sync_engine_hold = p.kicks & 0x80;
	dev = virtio_blk_create(&options, &mem, loop, &err);
	mmio = virtio_mmio_create(dev, &config, &err);
	bring_up(mmio, p.features);
	for (int i = 0; i <= p.kicks % 4; i++) {
		write_register(mmio, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		event_loop_run(loop);
	}
	write_register(mmio, VIRTIO_MMIO_STATUS, 0);
	virtio_mmio_destroy(mmio);
	virtio_blk_destroy(dev);
	free(ram);
	return 0;
}
