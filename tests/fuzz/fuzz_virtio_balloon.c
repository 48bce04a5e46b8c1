/* virtio-balloon with rings from the input, whose one page of memory is itself
 * given back now and then. The timer of the statistics expires when the input
 * says so.
 */
#include <errno.h>
#include <linux/virtio_balloon.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "devices/virtio_balloon.h"
#include "tests/fuzz/fuzz_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS 16

struct params {
	uint8_t features; /* 0, 1: ring features; 2 to 4: see below */
	uint8_t queues;	  /* that are ready */
	uint8_t poison;
	uint8_t steps[2 * STEPS];
};

static uint32_t features_of(uint8_t bits)
{
	return (bits & 3u) << 28 |
	       (bits >> 2 & 1u) << VIRTIO_BALLOON_F_STATS_VQ |
	       (bits >> 3 & 1u) << VIRTIO_BALLOON_F_REPORTING |
	       (bits >> 4 & 1u) << VIRTIO_BALLOON_F_PAGE_POISON;
}

static int timer_fd;

/* In place of the C library's. */
int timerfd_create(clockid_t clock, int flags)
{
	(void)clock;
	(void)flags;
	timer_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return timer_fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new_value,
		    struct itimerspec *old_value)
{
	(void)fd;
	(void)flags;
	(void)new_value;
	(void)old_value;
	return 0;
}

static int discard(void *ctx, uint8_t *host, uint64_t len)
{
	const uint8_t *ram = ctx;
	uint64_t offset = (uint64_t)(host - ram);

	if (!len || offset > FUZZ_RAM_SIZE || len > FUZZ_RAM_SIZE - offset)
		abort();
	memset(host, 0, len);
	return len % 3 ? 0 : -EINVAL;
}

static void step(struct virtio_mmio *mmio, struct virtio_device *dev,
		 uint8_t *ram, uint8_t op, uint8_t value)
{
	struct virtio_balloon_status status;
	uint64_t one = 1;

	switch (op % 6) {
	case 0:
	case 1:
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_NOTIFY, value % 6);
		break;
	case 2:
		if (write(timer_fd, &one, sizeof(one)) != sizeof(one))
			abort();
		break;
	case 3: /* more of a ring becomes available: avail.idx */
		ram[(FUZZ_RING(op / 6 % 5) - FUZZ_RAM_BASE) + 0x102] +=
			value % 16;
		break;
	case 4:
		virtio_balloon_set_target(dev, (uint64_t)value << 6);
		virtio_balloon_get_status(dev, &status);
		virtio_mmio_bus_ops.write(mmio,
					  VIRTIO_MMIO_CONFIG + op / 6 % 20,
					  1u << value % 4, value);
		break;
	case 5:
		if (value > 7)
			break;
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_SEL, value);
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_READY, 0);
		break;
	}
	event_loop_run(fuzz_loop());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct guest_mem mem = { 0 };
	uint8_t *ram = fuzz_ram_create(&mem);
	const struct virtio_balloon_options options = {
		.target = FUZZ_RAM_SIZE,
		.stats_every = 1,
		.reporting = true,
		.discard = discard,
		.ctx = ram,
	};
	struct virtio_device *dev;
	struct virtio_mmio *mmio;
	struct params p;
	struct error err;

	fuzz_take(&in, &p, sizeof(p));
	fuzz_take(&in, ram, FUZZ_RAM_SIZE);
	dev = virtio_balloon_create(&options, &mem, fuzz_loop(), &err);
	mmio = fuzz_attach(dev);
	fuzz_write_register(mmio,
			    VIRTIO_MMIO_CONFIG +
				    offsetof(struct virtio_balloon_config,
					     poison_val),
			    p.poison);
	fuzz_bring_up(mmio, p.queues % 6, features_of(p.features));
	for (unsigned i = 0; i < STEPS; i++)
		step(mmio, dev, ram, p.steps[2 * i], p.steps[2 * i + 1]);
	virtio_mmio_destroy(mmio);
	virtio_device_destroy(dev);
	free(ram);
	return 0;
}
