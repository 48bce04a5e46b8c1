/* virtio-net on one end of a datagram socket pair: rings, frames from the
 * network, kicks and writes to guest memory in any order.
 */
#include <linux/virtio_net.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net_tap.h"
#include "devices/virtio_net.h"
#include "tests/fuzz/fuzz_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS 16

struct params {
	uint8_t features; /* 0, 1: ring features; 2 to 5: see below */
	uint8_t mtu;	  /* in units of 64 bytes; 0: not known */
	uint8_t steps[2 * STEPS];
};

static uint32_t features_of(uint8_t bits)
{
	return (bits & 3u) << 28 | (bits >> 2 & 1u) << VIRTIO_NET_F_MRG_RXBUF |
	       (bits >> 3 & 1u) << VIRTIO_NET_F_GUEST_CSUM |
	       (bits >> 4 & 1u) << VIRTIO_NET_F_GUEST_TSO4 |
	       (bits >> 5 & 1u) << VIRTIO_NET_F_GUEST_TSO6;
}

static void receive_all(int fd)
{
	static uint8_t frame[1 << 17];

	while (recv(fd, frame, sizeof(frame), 0) >= 0)
		;
}

static void step(struct virtio_mmio *mmio, uint8_t *ram, int peer, uint8_t op,
		 uint8_t value)
{
	static const uint8_t frame[1 << 16];

	switch (op % 6) {
	case 0:
	case 1:
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_NOTIFY, op % 6);
		break;
	case 2: /* what does not fit into the socket is lost */
		if (send(peer, frame, (size_t)value << (op >> 5), 0) < 0)
			return;
		break;
	case 3:
		receive_all(peer);
		break;
	case 4: /* more of a ring becomes available: avail.idx */
		ram[(FUZZ_RING(op >> 7) - FUZZ_RAM_BASE) + 0x102] += value % 16;
		break;
	case 5:
		if (value)
			break;
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_SEL, op >> 7);
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
	struct virtio_net_options options = { 0 };
	struct virtio_device *dev;
	struct net_tap tap;
	struct virtio_mmio *mmio;
	struct params p;
	struct error err;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds))
		abort();
	fuzz_take(&in, &p, sizeof(p));
	fuzz_take(&in, ram, FUZZ_RAM_SIZE);
	net_tap_init(&tap, fds[0]);
	options.backend = &tap.backend;
	options.mtu = (uint16_t)(64 * p.mtu);
	dev = virtio_net_create(&options, &mem, fuzz_loop(), &err);
	mmio = fuzz_attach(dev);
	fuzz_bring_up(mmio, 2, features_of(p.features));
	for (unsigned i = 0; i < STEPS; i++)
		step(mmio, ram, fds[1], p.steps[2 * i], p.steps[2 * i + 1]);
	virtio_mmio_destroy(mmio);
	virtio_net_destroy(dev);
	net_tap_close(&tap);
	close(fds[1]);
	free(ram);
	return 0;
}
