/* A virtio-net device on one end of a datagram socket pair, the test on the
 * other.
 */
#pragma once

#include "tests/unit/unit.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net/net_tap.h"
#include "devices/net/virtio_net.h"
#include "tests/fake_driver.h"

#define HEADER 12
#define TSO (1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_TSO4)
#define MRG (1ULL << VIRTIO_NET_F_MRG_RXBUF)

/* The device has one end of a datagram socket pair, the test the other. */
struct fixture {
	struct fake_driver d;
	struct virtio_device *dev;
	struct net_tap tap;
	int peer;
	uint8_t frame[70000];
};

/* What set_up_device() gives its device. */
static struct rate_limits fixture_rx_limits, fixture_tx_limits;

static inline int set_up_device(struct fixture *f, struct net_backend *backend)
{
	struct virtio_net_options options = {
		.backends = { backend },
		.pairs = 1,
		.mac = { 2, 1, 2, 3, 4, 5 },
		.mtu = 1400,
		.rx_limits = fixture_rx_limits,
		.tx_limits = fixture_tx_limits,
	};
	struct error err;

	fake_init(&f->d);
	f->dev = virtio_net_create(&options, &f->d.mem, f->d.loop, &err);
	fake_attach(&f->d, f->dev);
	for (size_t i = 0; i < sizeof(f->frame); i++)
		f->frame[i] = (uint8_t)(i * 7);
	return !f->dev;
}

static inline int setup(void **state)
{
	static struct fixture f;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds))
		return -1;
	net_tap_init(&f.tap, fds[0]);
	f.peer = fds[1];
	*state = &f;
	return set_up_device(&f, &f.tap.backend);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	virtio_device_destroy(f->dev);
	virtio_device_destroy(NULL);
	fake_fini(&f->d);
	close(f->peer);
	net_tap_close(&f->tap);
	return 0;
}

/* --- frames --- */

static inline void send_frame(struct fixture *f, size_t len)
{
	assert_int_equal(send(f->peer, f->frame, len, 0), len);
}

static inline uint64_t give_rx(struct fixture *f, uint32_t len)
{
	struct fake_buffer b = { fake_alloc(&f->d, len, 64), len };

	fake_add(&f->d, VIRTIO_NET_RX, &b, 0, 1);
	return b.gpa;
}

static inline bool got_rx(struct fixture *f, uint32_t *len)
{
	uint32_t head;

	return fake_get_used(&f->d, VIRTIO_NET_RX, &head, len);
}

static inline void give_tx(struct fixture *f, uint32_t len)
{
	struct fake_buffer b[] = { { fake_alloc(&f->d, len, 64), HEADER },
				   { 0, len - HEADER } };

	b[1].gpa = b[0].gpa + HEADER;
	memcpy(fake_ptr(&f->d, b[0].gpa), f->frame, len);
	fake_add(&f->d, VIRTIO_NET_TX, b, 2, 0);
}
