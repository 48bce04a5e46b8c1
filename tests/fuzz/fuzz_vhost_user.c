/* A block device of a vhost-user back-end that says anything: in its greeting,
 * in answers, and in a channel of its own, between kicks, changes of the rings
 * and its end.
 */
#include <linux/virtio_blk.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/block/vhost_user_blk.h"
#include "devices/vhost_user/vhost_user_device.h"
#include "tests/fuzz/fuzz_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS 12
#define QUEUES 2

struct params {
	uint8_t features; /* see below */
	uint8_t protocol; /* bits 0, 3, 5, 9 */
	uint8_t queues;
	uint8_t config[60];
	uint8_t greeting; /* which answer is the input's own: 5 and up: none */
	uint8_t steps[2 * STEPS];
};

struct peer {
	int fd;
	int back, call; /* the last that it was given, -1 before */
};

/* The last request in what was read, the one that descriptors belong to. */
static uint32_t last_request(const uint8_t *bytes, size_t size)
{
	struct vhost_msg_header header = { 0 };

	for (size_t at = 0; at + sizeof(header) <= size;
	     at += sizeof(header) + header.size)
		memcpy(&header, bytes + at, sizeof(header));
	return header.request;
}

static void keep(struct peer *peer, uint32_t request, int fd)
{
	int *kept = request == VHOST_SET_BACKEND_REQ_FD_MSG ? &peer->back
							    : &peer->call;

	if (request != VHOST_SET_BACKEND_REQ_FD_MSG &&
	    request != VHOST_SET_VRING_CALL_MSG) {
		close(fd);
		return;
	}
	if (*kept >= 0)
		close(*kept);
	*kept = fd;
}

static void read_requests(struct peer *peer)
{
	static uint8_t bytes[1 << 16];
	union {
		struct cmsghdr header;
		uint8_t room[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct iovec iov = { bytes, sizeof(bytes) };
	struct msghdr in = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[8];

	for (;;) {
		size_t count;
		ssize_t got;

		in.msg_control = &control;
		in.msg_controllen = sizeof(control);
		got = recvmsg(peer->fd, &in, MSG_DONTWAIT);
		if (got <= 0)
			return;
		if (!CMSG_FIRSTHDR(&in))
			continue;
		count = (control.header.cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(&control.header), count * sizeof(int));
		for (size_t i = 0; i < count; i++)
			keep(peer, last_request(bytes, (size_t)got), fds[i]);
	}
}

static void say(int fd, const void *data, size_t size)
{
	if (fd >= 0 && send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
}

static void say_reply(int fd, uint32_t request, const void *payload,
		      uint32_t size)
{
	const struct vhost_msg_header header = {
		request, VHOST_MSG_VERSION | VHOST_MSG_REPLY, size
	};

	say(fd, &header, sizeof(header));
	say(fd, payload, size);
}

static void say_number(int fd, uint32_t request, uint64_t number)
{
	say_reply(fd, request, &number, sizeof(number));
}

static void say_input(int fd, struct fuzz_input *in, size_t size)
{
	uint8_t bytes[256];

	fuzz_take(in, bytes, size);
	say(fd, bytes, size);
}

static uint64_t features_of(uint8_t bits)
{
	return 1ULL << 32 | 1ULL << VHOST_F_PROTOCOL_FEATURES |
	       (bits & 3ULL) << 28 | (bits >> 2 & 1ULL) << VIRTIO_BLK_F_FLUSH |
	       (bits >> 3 & 1ULL) << VIRTIO_BLK_F_MQ |
	       (bits >> 4 & 1ULL) << VIRTIO_BLK_F_WRITE_ZEROES |
	       (bits >> 5 & 1ULL) << VIRTIO_BLK_F_CONFIG_WCE;
}

/* All answers of a greeting at once: they are read as they are asked for. */
static void say_greeting(int fd, const struct params *p, struct fuzz_input *in)
{
	uint64_t protocol = (p->protocol & 1u) | (p->protocol & 2u) << 2 |
			    (p->protocol & 4u) << 3 | 1u << 9;
	struct vhost_msg_config config = { .size = p->features & 0x10 ? 60
								      : 36 };

	memcpy(config.data, p->config, config.size);
	for (unsigned step = 0; step < 5; step++) {
		if (step == p->greeting)
			say_input(fd, in, 20);
		else if (step == 0)
			say_number(fd, VHOST_GET_FEATURES_MSG,
				   features_of(p->features));
		else if (step == 1)
			say_number(fd, VHOST_GET_PROTOCOL_FEATURES_MSG,
				   protocol);
		else if (step == 2 && (protocol & 1))
			say_number(fd, VHOST_GET_QUEUE_NUM_MSG, p->queues);
		else if (step == 3 && (protocol >> 3 & 1)) {
			say_number(fd, VHOST_SET_OWNER_MSG, 0);
			if (protocol >> 5 & 1)
				say_number(fd, VHOST_SET_BACKEND_REQ_FD_MSG, 0);
		} else if (step == 4)
			say_reply(fd, VHOST_GET_CONFIG_MSG, &config,
				  VHOST_MSG_CONFIG_HEAD + config.size);
	}
}

static void step(struct virtio_mmio *mmio, uint8_t *ram, struct peer *peer,
		 uint8_t op, uint8_t value, struct fuzz_input *in)
{
	static const uint32_t acked[] = {
		VHOST_SET_FEATURES_MSG,	  VHOST_SET_MEM_TABLE_MSG,
		VHOST_SET_VRING_NUM_MSG,  VHOST_SET_VRING_BASE_MSG,
		VHOST_SET_VRING_ADDR_MSG, VHOST_SET_VRING_CALL_MSG,
		VHOST_SET_VRING_KICK_MSG, VHOST_SET_VRING_ENABLE_MSG,
	};
	const unsigned queue = op >> 7;
	const uint64_t ring = FUZZ_RING(queue) - FUZZ_RAM_BASE;

	switch ((op & 0x7f) % 9) {
	case 0:
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
		break;
	case 1:
		say_input(peer->fd, in, value);
		break;
	case 2: /* avail.idx, used.idx */
		ram[ring + 0x102] += value % 16;
		ram[ring + 0x182] += value / 16;
		break;
	case 3:
		for (unsigned i = 0; i < value % 9u; i++)
			say_number(peer->fd, acked[i % 8], value == 255);
		break;
	case 4:
		say_input(peer->back, in, 12 + value % 16u);
		break;
	case 5:
		shutdown(peer->fd, SHUT_RDWR);
		break;
	case 6: /* answered in advance, or not at all */
		if (value & 1)
			say_number(peer->fd, VHOST_GET_VRING_BASE_MSG, queue);
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_SEL, queue);
		fuzz_write_register(mmio, VIRTIO_MMIO_QUEUE_READY, 0);
		break;
	case 7:
		virtio_mmio_bus_ops.write(mmio, VIRTIO_MMIO_CONFIG + 32, 1,
					  value);
		break;
	case 8:
		if (peer->call >= 0 && eventfd_write(peer->call, 1))
			abort();
		break;
	}
	event_loop_run(fuzz_loop());
	read_requests(peer);
}

static void run(struct vhost_user *conn, struct peer *peer,
		const struct params *p, struct fuzz_input *in)
{
	struct guest_mem mem = { 0 };
	uint8_t *ram = fuzz_ram_create(&mem);
	struct virtio_device *dev;
	struct virtio_mmio *mmio;
	struct error err;

	guest_mem_share(&mem, peer->fd, 0);
	fuzz_take(in, ram, FUZZ_RAM_SIZE / 2);
	dev = vhost_user_blk_create(conn, &mem, fuzz_loop(), &err);
	mmio = fuzz_attach(dev);
	fuzz_bring_up(mmio,
		      dev->queue_count < QUEUES ? dev->queue_count : QUEUES,
		      (uint32_t)dev->features);
	read_requests(peer);
	for (unsigned i = 0; i < STEPS; i++)
		step(mmio, ram, peer, p->steps[2 * i], p->steps[2 * i + 1], in);
	virtio_mmio_destroy(mmio);
	virtio_device_destroy(dev);
	free(ram);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct vhost_user_options options = { .kind = &vhost_user_blk_kind,
					      .name = "fuzz",
					      .timeout_ms = 1 };
	struct peer peer = { .back = -1, .call = -1 };
	struct vhost_user *conn;
	struct params p;
	struct error err;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		abort();
	fuzz_take(&in, &p, sizeof(p));
	options.fd = fds[0];
	peer.fd = fds[1];
	fuzz_loop();
	say_greeting(peer.fd, &p, &in);
	conn = vhost_user_create(&options, &err);
	read_requests(&peer);
	if (conn)
		run(conn, &peer, &p, &in);
	vhost_user_destroy(conn);
	close(peer.fd);
	if (peer.back >= 0)
		close(peer.back);
	if (peer.call >= 0)
		close(peer.call);
	return 0;
}
