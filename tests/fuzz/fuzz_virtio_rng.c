/* virtio-rng with rings from the input. The entropy comes from here, so that a
 * crash repeats.
 */
#include <sys/random.h>

#include "devices/virtio_rng.h"
#include "tests/fuzz/fuzz_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct params {
	uint8_t features; /* bits 28 and 29 */
	uint8_t kicks;	  /* 0x80: stop the queue in between */
	uint8_t entropy;  /* most bytes that one getrandom() gives; 0: fail */
	uint8_t pad;
};

static uint8_t entropy_max;

/* In place of the C library's. */
ssize_t getrandom(void *buf, size_t len, unsigned flags)
{
	(void)flags;
	if (!entropy_max)
		return -1;
	if (len > entropy_max)
		len = entropy_max;
	memset(buf, 1, len);
	return (ssize_t)len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct guest_mem mem = { 0 };
	uint8_t *ram = fuzz_ram_create(&mem);
	struct virtio_device *dev;
	struct virtio_mmio *mmio;
	struct params p;
	struct error err;

	fuzz_take(&in, &p, sizeof(p));
	fuzz_take(&in, ram, FUZZ_RAM_SIZE);
	entropy_max = p.entropy;
	dev = virtio_rng_create(&mem, fuzz_loop(), &err);
	mmio = fuzz_attach(dev);
	fuzz_bring_up(mmio, 1, (p.features & 3u) << 28);
	for (int i = 0; i <= p.kicks % 4; i++) {
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		event_loop_run(fuzz_loop());
		if (p.kicks & 0x80)
			fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_READY, 0);
	}
	virtio_mmio_destroy(mmio);
	virtio_device_destroy(dev);
	free(ram);
	return 0;
}
