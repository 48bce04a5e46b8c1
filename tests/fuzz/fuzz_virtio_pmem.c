/* virtio-pmem with its ring from the input, on an engine that ends flushes when
 * the input says so.
 */
#include <sys/mman.h>

#include "devices/block/virtio_pmem.h"
#include "tests/fuzz/fuzz_driver.h"
#include "tests/sync_engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct params {
	uint8_t features; /* bits 28 and 29; 0x80: nothing is durable */
	uint8_t kicks;	  /* 0x80: stop the queue in between, 0x40: a reset */
	uint8_t holds;	  /* bit n: flushes do not end before kick n + 1 */
	uint8_t pad;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct fuzz_input in = { data, size };
	struct guest_mem mem = { 0 };
	uint8_t *ram = fuzz_ram_create(&mem);
	struct virtio_pmem_options options = {
		.start = 1 << 30,
		.size = 1 << 21,
		.engine_create = sync_engine_create,
	};
	struct virtio_device *dev;
	struct virtio_mmio *mmio;
	struct params p;
	struct error err;

	if (fd < 0)
		fd = memfd_create("pmem", 0);
	fuzz_take(&in, &p, sizeof(p));
	fuzz_take(&in, ram, FUZZ_RAM_SIZE);
	options.fd = p.features & 0x80 ? -1 : fd;
	dev = virtio_pmem_create(&options, &mem, fuzz_loop(), &err);
	mmio = fuzz_attach(dev);
	fuzz_bring_up(mmio, 1, (p.features & 3u) << 28);
	for (int i = 0; i <= p.kicks % 8; i++) {
		sync_engine_hold = p.holds >> i & 1;
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		event_loop_run(fuzz_loop());
		if (p.kicks & 0x80)
			fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_READY, 0);
		if (p.kicks & 0x40) {
			fuzz_write_register(mmio, VIRTIO_MMIO_STATUS, 0);
			fuzz_bring_up(mmio, 1, (p.features & 3u) << 28);
		}
	}
	sync_engine_hold = false;
	virtio_mmio_destroy(mmio);
	virtio_device_destroy(dev);
	free(ram);
	return 0;
}
