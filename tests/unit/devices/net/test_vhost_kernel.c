/* A network device whose queues the kernel serves, where it can be had: on a
 * tap, with a packet socket at the host's end of it. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net/net_tap.h"
#include "devices/net/vhost_net.h"
#include "tests/fake_driver.h"

#define ENTRIES 8
#define RX 0
#define TX 1
#define HEADER 12
#define FRAME 60
#define BUFFER 2048
#define ETHERTYPE 0x88b5 /* for experiments (IEEE 802) */
#define NAME "onggi-vhost0"

struct fixture {
	struct fake_driver d;
	struct vhost_kernel kernel;
	struct net_tap tap;
	struct virtio_device *dev;
	int peer; /* the host's end */
	uint64_t buffer;
	uint8_t frame[FRAME];
};

static struct fixture fixture;

static int open_peer(void)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETHERTYPE),
	};
	struct timeval patience = { .tv_sec = 30 };
	struct ifreq request = { .ifr_name = NAME };
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETHERTYPE));

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, SIOCGIFINDEX, &request), 0);
	address.sll_ifindex = request.ifr_ifindex;
	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
	request.ifr_flags |= IFF_UP;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)),
			 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->d.mmio)
		fake_detach(&f->d);
	virtio_device_destroy(f->dev);
	if (f->peer >= 0)
		close(f->peer);
	net_tap_close(&f->tap);
	vhost_kernel_close(&f->kernel);
	fake_fini(&f->d);
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = &fixture;
	struct vhost_net_options options = {
		.kernel = &f->kernel,
		.backend = &f->tap.backend,
		.mac = { 2, 1, 2, 3, 4, 5 },
	};
	struct error err;

	memset(f, 0, sizeof(*f));
	f->peer = -1;
	fake_init(&f->d);
	f->buffer = fake_alloc(&f->d, BUFFER, 16);
	*state = f;
	if (vhost_kernel_open(&f->kernel, VHOST_NET_PATH, VHOST_NET_MODULE,
			      &err) ||
	    net_tap_open(&f->tap, 1, NAME, &err)) {
		print_message("%s\n", err.text);
		return 0; /* begin() skips */
	}
	f->dev = vhost_net_create(&options, &f->d.mem, f->d.loop, &err);
	assert_non_null(f->dev);
	fake_attach(&f->d, f->dev);
	f->peer = open_peer();
	/* for everybody, from somebody */
	memset(f->frame, 0xff, 6);
	f->frame[6] = 2;
	f->frame[12] = ETHERTYPE >> 8;
	f->frame[13] = ETHERTYPE & 0xff;
	for (int i = 14; i < FRAME; i++)
		f->frame[i] = (uint8_t)(3 * i);
	return 0;
}

static struct fixture *begin(void **state, uint64_t features)
{
	struct fixture *f = *state;

	if (!f->dev)
		skip();
	fake_start(&f->d, features, ENTRIES);
	assert_false(fake_needs_reset(&f->d));
	return f;
}

static void run_until_used(struct fixture *f, unsigned queue, uint16_t idx)
{
	for (int i = 0; i < 30000 && fake_used_idx(&f->d, queue) != idx; i++) {
		fake_run_loop(&f->d);
		usleep(1000);
	}
	assert_int_equal(fake_used_idx(&f->d, queue), idx);
}

static void give(struct fixture *f)
{
	struct fake_buffer b = { f->buffer, BUFFER };

	fake_add(&f->d, RX, &b, 0, 1);
	fake_kick(&f->d, RX);
}

/* The host sends what it may, IPv6 for one: the test's frame is to come. */
static void receive_from_host(struct fixture *f)
{
	const uint8_t *buffer = fake_ptr(&f->d, f->buffer);
	uint16_t used = fake_used_idx(&f->d, RX);
	uint32_t head, len;

	give(f);
	assert_int_equal(send(f->peer, f->frame, FRAME, 0), FRAME);
	for (int i = 0; i < 100; i++) {
		run_until_used(f, RX, ++used);
		while (!fake_get_used(&f->d, RX, &head, &len))
			;
		if (memcmp(buffer + HEADER, f->frame, FRAME) == 0)
			break;
		give(f);
	}
	assert_memory_equal(buffer + HEADER, f->frame, FRAME);
	assert_int_equal(len, HEADER + FRAME);
}

static void send_to_host(struct fixture *f)
{
	struct fake_buffer b = { fake_alloc(&f->d, HEADER + FRAME, 16),
				 HEADER + FRAME };
	uint16_t used = fake_used_idx(&f->d, TX);
	uint8_t seen[BUFFER];

	memset(fake_ptr(&f->d, b.gpa), 0, HEADER);
	memcpy(fake_ptr(&f->d, b.gpa + HEADER), f->frame, FRAME);
	fake_add(&f->d, TX, &b, 1, 0);
	fake_kick(&f->d, TX);
	assert_int_equal(recv(f->peer, seen, sizeof(seen), 0), FRAME);
	assert_memory_equal(seen, f->frame, FRAME);
	run_until_used(f, TX, (uint16_t)(used + 1));
}

static void frames_go_both_ways(void **state)
{
	static const uint64_t features[] = {
		0,
		1ULL << VIRTIO_NET_F_MRG_RXBUF,
		1ULL << VIRTIO_RING_F_EVENT_IDX,
	};

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		struct fixture *f = begin(state, features[i]);

		send_to_host(f);
		send_to_host(f);
		receive_from_host(f);
		for (int n = 0; n < 30000 && !fake_interrupts(&f->d); n++) {
			assert_true(n < 29999);
			fake_run_loop(&f->d);
			usleep(1000);
		}
	}
}

static void what_is_there_already_is_sent_without_a_kick(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = { f->buffer, HEADER + FRAME };

	if (!f->dev)
		skip();
	fake_negotiate(&f->d, 0);
	fake_setup_queue(&f->d, TX, ENTRIES);
	memcpy(fake_ptr(&f->d, f->buffer + HEADER), f->frame, FRAME);
	fake_add(&f->d, TX, &b, 1, 0);
	fake_driver_ok(&f->d);
	run_until_used(f, TX, 1);
}

static void after_a_reset_the_kernel_touches_nothing(void **state)
{
	struct fixture *f = begin(state, 0);
	uint8_t *buffer = fake_ptr(&f->d, f->buffer);

	receive_from_host(f);
	for (int i = 0; i < 4; i++)
		give(f);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	memset(buffer, 0x5a, BUFFER);
	memset(fake_ptr(&f->d, f->d.queues[RX].used), 0x5a, 6 + 8 * ENTRIES);
	for (int i = 0; i < 4; i++)
		assert_int_equal(send(f->peer, f->frame, FRAME, 0), FRAME);
	usleep(100000);
	for (int i = 0; i < BUFFER; i++)
		assert_int_equal(buffer[i], 0x5a);
	assert_int_equal(fake_used_idx(&f->d, RX), 0x5a5a);
	/* and the next driver finds all in order */
	begin(state, 0);
	send_to_host(f);
}

static void break_ring(struct fixture *f, unsigned queue)
{
	for (int i = 0; i < 30000 && !fake_needs_reset(&f->d); i++) {
		fake_kick(&f->d, queue);
		fake_run_loop(&f->d);
		usleep(1000);
	}
	assert_true(fake_needs_reset(&f->d));
}

static void a_bad_ring_breaks_the_device_until_its_reset(void **state)
{
	struct fixture *f = begin(state, 0);
	struct fake_buffer outside = { FAKE_RAM_BASE + FAKE_RAM_SIZE, 4096 };
	struct fake_buffer b = { f->buffer, BUFFER };

	/* more entries than there are */
	fake_set_avail_idx(&f->d, TX, 1000);
	break_ring(f, TX);
	begin(state, 0);
	/* a descriptor that is none */
	fake_make_available(&f->d, TX, ENTRIES);
	break_ring(f, TX);
	begin(state, 0);
	/* a buffer that is not memory */
	fake_add(&f->d, TX, &outside, 1, 0);
	break_ring(f, TX);
	begin(state, 0);
	/* one of the wrong direction */
	fake_add(&f->d, TX, &b, 0, 1);
	break_ring(f, TX);
	begin(state, 0);
	send_to_host(f);
	receive_from_host(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(frames_go_both_ways),
		TEST(what_is_there_already_is_sent_without_a_kick),
		TEST(after_a_reset_the_kernel_touches_nothing),
		TEST(a_bad_ring_breaks_the_device_until_its_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
