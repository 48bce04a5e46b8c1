/* virtio-console: rings, input, backpressure, kicks, configuration space and
 * writes to guest memory in any order.
 */
#include <linux/virtio_console.h>

#include "devices/console/virtio_console.h"
#include "tests/fuzz/fuzz_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS 16

struct params {
	uint8_t features; /* 0, 1: ring features; 2: size; 3: emergency */
	uint8_t accept;	  /* bytes that put() takes at first, times 64 */
	uint8_t steps[2 * STEPS];
};

struct backend {
	struct console_port port;
	size_t accept;
	bool refused; /* and so not to be called before resume() */
};

static size_t put(void *ctx, struct iovec *iov, unsigned count)
{
	struct backend *backend = ctx;
	volatile uint8_t sum = 0;
	size_t total = 0, taken;

	for (unsigned i = 0; i < count; i++) {
		const uint8_t *bytes = iov[i].iov_base;

		for (size_t k = 0; k < iov[i].iov_len; k++)
			sum = (uint8_t)(sum + bytes[k]);
		total += iov[i].iov_len;
	}
	if (!total || backend->refused)
		abort();
	taken = total < backend->accept ? total : backend->accept;
	backend->accept -= taken;
	backend->refused = taken < total;
	return taken;
}

static void receive(struct backend *backend, size_t len)
{
	static const uint8_t input[256];

	if (backend->port.ops->receive(backend->port.dev, input, len) > len)
		abort();
}

static void room(void *ctx)
{
	receive(ctx, 100);
}

static const struct console_backend ops = { .put = put, .room = room };

static uint32_t features_of(uint8_t bits)
{
	return (bits & 3u) << 28 | (bits >> 2 & 1u) << VIRTIO_CONSOLE_F_SIZE |
	       (bits >> 3 & 1u) << VIRTIO_CONSOLE_F_EMERG_WRITE;
}

static void step(struct virtio_mmio *mmio, struct backend *backend,
		 uint8_t *ram, uint8_t op, uint8_t value)
{
	const uint64_t config = VIRTIO_MMIO_CONFIG;

	switch (op % 9) {
	case 0:
	case 1:
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_NOTIFY, op % 9);
		break;
	case 2:
		receive(backend, value);
		break;
	case 3:
		backend->accept = (size_t)value << (op >> 5);
		backend->refused = false;
		backend->port.ops->resume(backend->port.dev);
		break;
	case 4: /* more of a ring becomes available: avail.idx */
		ram[(FUZZ_RING(op >> 7) - FUZZ_RAM_BASE) + 0x102] += value % 16;
		break;
	case 5:
		virtio_mmio_bus_ops.read(mmio, config + value % 16, 1);
		break;
	case 6:
		virtio_mmio_bus_ops.write(mmio, config + value % 16,
					  1u << (op >> 6), value);
		break;
	case 7:
		backend->port.ops->resize(backend->port.dev, value, op);
		break;
	case 8:
		if (value > 1)
			break;
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_SEL, op >> 7);
		fuzz_write_register(mmio,
				    value ? VIRTIO_MMIO_STATUS
					  : VIRTIO_MMIO_QUEUE_READY,
				    0);
		if (value)
			fuzz_bring_up(mmio, 2, features_of(op));
		break;
	}
	event_loop_run(fuzz_loop());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct guest_mem mem = { 0 };
	uint8_t *ram = fuzz_ram_create(&mem);
	struct backend backend = { 0 };
	const struct virtio_console_options options = {
		.backend = &ops,
		.backend_ctx = &backend,
	};
	struct virtio_device *dev;
	struct virtio_mmio *mmio;
	struct params p;
	struct error err;

	fuzz_take(&in, &p, sizeof(p));
	fuzz_take(&in, ram, FUZZ_RAM_SIZE);
	backend.accept = 64u * p.accept;
	dev = virtio_console_create(&options, &mem, fuzz_loop(), &err);
	backend.port = virtio_console_port(dev);
	mmio = fuzz_attach(dev);
	fuzz_bring_up(mmio, 2, features_of(p.features));
	for (unsigned i = 0; i < STEPS; i++)
		step(mmio, &backend, ram, p.steps[2 * i], p.steps[2 * i + 1]);
	virtio_mmio_destroy(mmio);
	virtio_device_destroy(dev);
	free(ram);
	return 0;
}
