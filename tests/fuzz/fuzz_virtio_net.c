/* virtio-net on one end of socket pairs, of datagrams as a tap's or of a
 * stream: rings, frames from the network, control commands, kicks and writes to
 * guest memory in any order.
 */
#include <arpa/inet.h>
#include <linux/virtio_net.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net/net_stream.h"
#include "devices/net/net_tap.h"
#include "devices/net/virtio_net.h"
#include "tests/fuzz/fuzz_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS 16
#define PAIRS 2 /* with control; else one */

struct params {
	uint8_t features; /* 0, 1: ring features; others: see below */
	uint8_t mtu;	  /* in units of 64 bytes; 0: not known */
	uint8_t steps[2 * STEPS];
};

struct net {
	uint8_t *ram;
	unsigned pairs;
	struct net_tap taps[PAIRS];
	struct net_stream *stream; /* NULL: on the taps */
	int peers[PAIRS];
	struct virtio_device *dev;
	struct virtio_mmio *mmio;
};

#define HAS_CONTROL(features) ((features) >> 6 & 1u)
#define HAS_STREAM(features) ((features) >> 7 & 1u)

static uint64_t features_of(uint8_t bits)
{
	uint64_t features = (uint64_t)(bits & 3u) << 28 |
			    (bits >> 2 & 1u) << VIRTIO_NET_F_MRG_RXBUF;

	if (!HAS_STREAM(bits))
		features |= (bits >> 3 & 1u) << VIRTIO_NET_F_GUEST_CSUM |
			    (bits >> 4 & 1u) << VIRTIO_NET_F_GUEST_TSO4 |
			    (bits >> 5 & 1u) << VIRTIO_NET_F_GUEST_TSO6;
	if (HAS_CONTROL(bits))
		features |= 1u << VIRTIO_NET_F_CTRL_VQ |
			    1u << VIRTIO_NET_F_CTRL_RX;
	if (HAS_CONTROL(bits) && !HAS_STREAM(bits))
		features |= 1u << VIRTIO_NET_F_MQ |
			    1u << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;
	return features;
}

static void receive_all(int fd)
{
	static uint8_t frame[1 << 17];

	while (recv(fd, frame, sizeof(frame), MSG_DONTWAIT) > 0)
		;
}

/* What does not fit into the socket is lost; to a stream that means another
 * step. */
static void send_frame(const struct net *net, unsigned pair, uint8_t op,
		       uint8_t value)
{
	static const uint8_t frame[1 << 16];
	size_t size = (size_t)value << (op >> 5);
	uint32_t length = htonl((uint32_t)size);

	/* a length alone, which may be any */
	if (net->stream && op >> 5 == 7)
		length = (uint32_t)value << (value % 25);
	if (net->stream && op >> 5 != 6 &&
	    send(net->peers[0], &length, 4, MSG_DONTWAIT) < 0)
		return;
	if (net->stream && op >> 5 == 7)
		return;
	if (send(net->peers[pair], frame, size, MSG_DONTWAIT) < 0)
		return;
}

static void step(struct net *net, uint8_t op, uint8_t value)
{
	unsigned pair = (op >> 7) % net->pairs;
	unsigned queue = op >> 5;

	switch (op % 8) {
	case 0:
	case 1:
		fuzz_write_register(net->mmio, VIRTIO_MMIO_QUEUE_NOTIFY,
				    op % 8 + 2 * pair);
		break;
	case 2:
		send_frame(net, pair, op, value);
		break;
	case 3:
		receive_all(net->peers[pair]);
		break;
	case 4: /* more of a ring becomes available: avail.idx */
		if (queue > 2 * PAIRS)
			break;
		net->ram[(FUZZ_RING(queue) - FUZZ_RAM_BASE) + 0x102] +=
			value % 16;
		break;
	case 5:
		if (value)
			break;
		fuzz_write_register(net->mmio, VIRTIO_MMIO_QUEUE_SEL, queue);
		fuzz_write_register(net->mmio, VIRTIO_MMIO_QUEUE_READY, 0);
		break;
	case 6:
		fuzz_write_register(net->mmio, VIRTIO_MMIO_QUEUE_NOTIFY,
				    2 * net->pairs);
		break;
	case 7:
		virtio_net_set_link(net->dev, value & 1);
		break;
	}
	event_loop_run(fuzz_loop());
}

static struct net_backend *open_wire(struct net *net, unsigned pair,
				     uint8_t features)
{
	int type = HAS_STREAM(features) ? SOCK_STREAM : SOCK_DGRAM;
	struct error err;
	int fds[2];

	if (socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fds))
		abort();
	net->peers[pair] = fds[1];
	if (!HAS_STREAM(features)) {
		net_tap_init(&net->taps[pair], fds[0]);
		return &net->taps[pair].backend;
	}
	net->stream = net_stream_create(fds[0], "the peer", &err);
	return net_stream_backend(net->stream);
}

static void create(struct net *net, const struct guest_mem *mem,
		   const struct params *p)
{
	struct virtio_net_options options = { .mtu = (uint16_t)(64 * p->mtu) };
	bool several = HAS_CONTROL(p->features) && !HAS_STREAM(p->features);
	unsigned queues;
	struct error err;

	options.pairs = net->pairs = several ? PAIRS : 1;
	for (unsigned i = 0; i < net->pairs; i++)
		options.backends[i] = open_wire(net, i, p->features);
	net->dev = virtio_net_create(&options, mem, fuzz_loop(), &err);
	net->mmio = fuzz_attach(net->dev);
	queues = 2 * net->pairs + HAS_CONTROL(p->features);
	fuzz_bring_up(net->mmio, queues, features_of(p->features));
}

static void destroy(struct net *net)
{
	virtio_mmio_destroy(net->mmio);
	virtio_device_destroy(net->dev);
	net_stream_destroy(net->stream);
	for (unsigned i = 0; i < net->pairs; i++) {
		net_tap_close(&net->taps[i]);
		close(net->peers[i]);
	}
	free(net->ram);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct guest_mem mem = { 0 };
	struct net net = { .ram = fuzz_ram_create(&mem) };
	struct params p;

	fuzz_take(&in, &p, sizeof(p));
	fuzz_take(&in, net.ram, FUZZ_RAM_SIZE);
	create(&net, &mem, &p);
	for (unsigned i = 0; i < STEPS; i++)
		step(&net, p.steps[2 * i], p.steps[2 * i + 1]);
	destroy(&net);
	return 0;
}
