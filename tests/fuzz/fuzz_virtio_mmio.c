/* Any sequence of register accesses, kicks and writes to guest memory, on a
 * device that serves its queues.
 */
#include <linux/virtio_mmio.h>
#include <unistd.h>

#include <sys/eventfd.h>

#include "base/log.h"
#include "devices/virtio/virtio_mmio.h"
#include "tests/fuzz/fuzz_ram.h"
#include "tests/mock_device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct target {
	struct guest_mem mem;
	uint8_t *ram;
	struct mock_device *mock;
	struct virtio_mmio *mmio;
};

static void write_register(struct target *t, uint64_t offset, uint64_t value)
{
	virtio_mmio_bus_ops.write(t->mmio, offset, 4, (uint32_t)value);
}

/* What takes a dozen lucky writes otherwise: a driver that is up. */
static void bring_up(struct target *t, uint8_t how)
{
	write_register(t, VIRTIO_MMIO_STATUS, 0);
	write_register(t, VIRTIO_MMIO_STATUS, 3);
	write_register(t, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	write_register(t, VIRTIO_MMIO_DRIVER_FEATURES,
		       (uint32_t)(how & 3) << 28);
	write_register(t, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	write_register(t, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	write_register(t, VIRTIO_MMIO_STATUS, 11);
	for (uint32_t queue = 0; queue < 2; queue++) {
		uint64_t base = FUZZ_RAM_BASE + 0x200 * queue;

		write_register(t, VIRTIO_MMIO_QUEUE_SEL, queue);
		write_register(t, VIRTIO_MMIO_QUEUE_NUM, 1u << (how >> 2 & 3));
		write_register(t, VIRTIO_MMIO_QUEUE_DESC_LOW, base);
		write_register(t, VIRTIO_MMIO_QUEUE_AVAIL_LOW, base + 0x100);
		write_register(t, VIRTIO_MMIO_QUEUE_USED_LOW, base + 0x140);
		write_register(t, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	write_register(t, VIRTIO_MMIO_STATUS, 15);
}

static void step(struct target *t, struct fuzz_input *in)
{
	static const uint8_t sizes[] = { 1, 2, 4, 8 };
	uint8_t op = fuzz_byte(in);
	uint16_t at;
	uint64_t value;

	fuzz_take(in, &at, sizeof(at));
	fuzz_take(in, &value, sizes[op >> 6]);
	switch (op % 6) {
	case 0:
		write_register(t, at % VIRTIO_MMIO_CONFIG & ~3u, value);
		break;
	case 1:
		virtio_mmio_bus_ops.read(t->mmio, at % VIRTIO_MMIO_WINDOW,
					 sizes[op >> 6]);
		break;
	case 2:
		virtio_mmio_bus_ops.write(t->mmio, at % VIRTIO_MMIO_WINDOW,
					  sizes[op >> 6], value);
		break;
	case 3:
		memcpy(t->ram + at % (FUZZ_RAM_SIZE - 8), &value,
		       sizes[op >> 6]);
		break;
	case 4:
		bring_up(t, (uint8_t)at);
		break;
	case 5:
		write_register(t, VIRTIO_MMIO_QUEUE_NOTIFY, at & 1);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event_loop *loop;
	static int irq_fd = -1;
	struct fuzz_input in = { data, size };
	struct target t = { 0 };
	struct virtio_mmio_config config = { .base = 0xd0000000 };
	struct error err;

	if (!loop) {
		log_set_level(LOG_ERROR);
		loop = event_loop_create(&err);
		irq_fd = eventfd(0, EFD_NONBLOCK);
	}
	config.irq.fd = irq_fd;
	t.ram = fuzz_ram_create(&t.mem);
	t.mock = mock_create(&t.mem, loop);
	t.mmio = virtio_mmio_create(&t.mock->dev, &config, &err);
	while (in.left)
		step(&t, &in);
	virtio_mmio_destroy(t.mmio);
	virtio_device_destroy(&t.mock->dev);
	free(t.ram);
	return 0;
}
