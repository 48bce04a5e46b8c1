/* The rings of the socket device. What packets do is told in test_vsock_mux.c
 * and its neighbours.
 */
#include "tests/unit/devices/vsock/vsock_mux_fixture.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>

#include "devices/virtio/virtio_state.h"
#include "devices/vsock/virtio_vsock.h"
#include "tests/fake_driver.h"

#define RX VIRTIO_VSOCK_RX
#define TX VIRTIO_VSOCK_TX
#define EVENT VIRTIO_VSOCK_EVENT
#define HEADER 44

/* The guest's buffers of each queue, one for each of its entries. */
#define ENTRIES 16
#define ROOM 4096

struct device {
	struct fixture host; /* its socket and folder; its mux is not used */
	struct fake_driver d;
	struct virtio_device *dev;
	uint64_t rx[ENTRIES], tx[ENTRIES];
	unsigned rx_given, tx_given;
};

static int setup_device(void **state)
{
	static struct device v;
	struct virtio_vsock_options options = { .guest_cid = CID };
	struct error err;
	void *host;

	v = (struct device){ 0 };
	if (setup(&host))
		return -1;
	memcpy(&v.host, host, sizeof(v.host));
	vsock_mux_destroy(v.host.mux);
	v.host.mux = NULL;
	fake_init(&v.d);
	options.listen_fd = v.host.listener.fd;
	options.connect = connect_port;
	options.connect_ctx = &v.host;
	v.dev = virtio_vsock_create(&options, &v.d.mem, v.d.loop, &err);
	fake_attach(&v.d, v.dev);
	/* the host's helpers run this one */
	event_loop_destroy(v.host.loop);
	v.host.loop = v.d.loop;
	v.host.listener.path = v.host.path;
	*state = &v;
	return !v.dev;
}

static int teardown_device(void **state)
{
	struct device *v = *state;

	fake_detach(&v->d);
	virtio_device_destroy(v->dev);
	virtio_device_destroy(NULL);
	fake_fini(&v->d);
	vsock_socket_close(&v->host.listener);
	return rmdir(v->host.folder);
}

static void start(struct device *v, uint64_t features)
{
	fake_start(&v->d, features, ENTRIES);
	v->rx_given = v->tx_given = 0;
	for (unsigned i = 0; i < ENTRIES && !v->rx[i]; i++) {
		v->rx[i] = fake_alloc(&v->d, ROOM, 64);
		v->tx[i] = fake_alloc(&v->d, ROOM, 64);
	}
}

static void give_rx(struct device *v, unsigned count)
{
	while (count-- > 0) {
		/* Linux 6.1 has the header in a buffer of its own */
		uint64_t at = v->rx[v->rx_given++ % (ENTRIES / 2)];
		struct fake_buffer b[] = { { at, HEADER },
					   { at + HEADER, ROOM - HEADER } };

		fake_add(&v->d, RX, b, 0, 2);
	}
	fake_kick(&v->d, RX);
}

/* Takes the next packet that the device has sent: its operation, 0 for none. */
static uint16_t got_rx(struct device *v)
{
	struct vsock_header header;
	uint32_t head, len;
	uint64_t at = v->rx[(v->d.queues[RX].used_seen) % (ENTRIES / 2)];

	if (!fake_get_used(&v->d, RX, &head, &len))
		return 0;
	memcpy(&header, fake_ptr(&v->d, at), HEADER);
	v->host.packet = vsock_packet_decode(&header);
	assert_int_equal(len, HEADER + v->host.packet.len);
	assert_int_equal(v->host.packet.dst_cid, CID);
	memcpy(v->host.payload, fake_ptr(&v->d, at + HEADER),
	       v->host.packet.len);
	return v->host.packet.op;
}

/* Puts a packet with `have` bytes of payload, all of them x, into the ring. */
static void add_tx(struct device *v, const struct vsock_packet *packet,
		   uint32_t have)
{
	struct vsock_header header = vsock_packet_encode(packet);
	uint64_t at = v->tx[v->tx_given++ % ENTRIES];
	struct fake_buffer b = { at, HEADER + have };

	memcpy(fake_ptr(&v->d, at), &header, HEADER);
	memset(fake_ptr(&v->d, at + HEADER), 'x', have);
	fake_add(&v->d, TX, &b, 1, 0);
}

static void send_op(struct device *v, uint16_t op, uint32_t guest_port,
		    uint32_t host_port)
{
	struct vsock_packet packet = from_guest(op, guest_port, host_port);

	add_tx(v, &packet, 0);
	fake_kick(&v->d, TX);
}

static bool tx_done(struct device *v)
{
	uint32_t head, len;

	if (!fake_get_used(&v->d, TX, &head, &len))
		return false;
	assert_int_equal(len, 0);
	return true;
}

static void the_configuration_has_the_cid(void **state)
{
	struct device *v = *state;

	assert_int_equal(fake_read(&v->d, VIRTIO_MMIO_DEVICE_ID),
			 VIRTIO_ID_VSOCK);
	assert_int_equal(fake_config(&v->d, 0, 8), CID);
	assert_int_equal(v->dev->queue_count, 3);
	assert_true(fake_negotiate(&v->d, 1)); /* VIRTIO_VSOCK_F_STREAM */
	assert_false(fake_negotiate(&v->d, 1 << VIRTIO_VSOCK_F_SEQPACKET));
}

static void bytes_pass_both_ways(void **state)
{
	struct device *v = *state;
	int listener = host_listens(&v->host, 7), fd;
	struct vsock_packet packet;
	char text[16];

	start(v, 0);
	give_rx(v, 4);
	send_op(v, VIRTIO_VSOCK_OP_REQUEST, 9, 7);
	assert_true(tx_done(v));
	assert_int_equal(got_rx(v), VIRTIO_VSOCK_OP_RESPONSE);
	assert_true(fake_interrupts(&v->d) > 0);
	fd = accept(listener, NULL, NULL);
	packet = from_guest(VIRTIO_VSOCK_OP_RW, 9, 7);
	packet.len = 10;
	/* of more that there is, only so much counts */
	add_tx(v, &packet, 100);
	fake_kick(&v->d, TX);
	assert_true(tx_done(v));
	assert_int_equal(recv(fd, text, sizeof(text), 0), 10);
	assert_memory_equal(text, "xxxxxxxxxx", 10);
	assert_int_equal(send(fd, "hello", 5, 0), 5);
	run(&v->host);
	assert_int_equal(got_rx(v), VIRTIO_VSOCK_OP_RW);
	assert_memory_equal(v->host.payload, "hello", 5);
	assert_int_equal(got_rx(v), 0);
	close(fd);
	host_stops(&v->host, listener, 7);
}

static void a_header_may_be_spread_over_buffers(void **state)
{
	struct device *v = *state;
	int listener = host_listens(&v->host, 7);
	struct vsock_packet packet = from_guest(VIRTIO_VSOCK_OP_REQUEST, 9, 7);
	struct vsock_header header = vsock_packet_encode(&packet);
	struct fake_buffer out[HEADER],
		in[] = { { 0, 1 }, { 0, 42 }, { 0, 9 } };
	uint8_t got[HEADER];

	start(v, 0);
	fake_setup_queue(&v->d, TX, 64);
	fake_start(&v->d, 0, 64);
	for (unsigned i = 0; i < HEADER; i++) {
		/* apart from each other, so that they are not joined */
		out[i] = (struct fake_buffer){ v->tx[0] + 2 * i, 1 };
		memcpy(fake_ptr(&v->d, out[i].gpa), (uint8_t *)&header + i, 1);
	}
	for (unsigned i = 0; i < 3; i++)
		in[i].gpa = v->rx[i];
	fake_add(&v->d, RX, in, 0, 3);
	fake_kick(&v->d, RX);
	fake_add(&v->d, TX, out, HEADER, 0);
	fake_kick(&v->d, TX);
	assert_int_equal(fake_used_idx(&v->d, RX), 1);
	memcpy(got, fake_ptr(&v->d, v->rx[0]), 1);
	memcpy(got + 1, fake_ptr(&v->d, v->rx[1]), 42);
	memcpy(got + 43, fake_ptr(&v->d, v->rx[2]), 1);
	memcpy(&header, got, HEADER);
	assert_int_equal(le16_get(header.op), VIRTIO_VSOCK_OP_RESPONSE);
	host_stops(&v->host, listener, 7);
}

static void the_host_waits_for_the_driver(void **state)
{
	struct device *v = *state;
	int fd = host_connects(&v->host, "CONNECT 5\n");

	assert_int_equal(recv(fd, v->host.payload, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
	start(v, 0);
	give_rx(v, 1);
	run(&v->host);
	assert_int_equal(got_rx(v), VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(v->host.packet.dst_port, 5);
	close(fd);
}

static void packets_wait_for_buffers(void **state)
{
	struct device *v = *state;
	int fd;

	start(v, 0);
	fd = host_connects(&v->host, "CONNECT 5\n");
	send_op(v, VIRTIO_VSOCK_OP_RW, 9, 7);
	assert_int_equal(got_rx(v), 0);
	give_rx(v, 1);
	assert_int_equal(got_rx(v), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(got_rx(v), 0);
	give_rx(v, 1);
	assert_int_equal(got_rx(v), VIRTIO_VSOCK_OP_REQUEST);
	give_rx(v, 1);
	assert_int_equal(got_rx(v), 0);
	close(fd);
}

/* A driver that never gives buffers is served no further than there is room
 * for answers, and goes on from there. */
static void a_driver_without_buffers_has_to_wait(void **state)
{
	struct device *v = *state;
	unsigned done = 0, answers = 0;

	start(v, 0);
	for (unsigned i = 0; i < VSOCK_REPLIES_MAX + 10; i++) {
		send_op(v, VIRTIO_VSOCK_OP_RW, i, 7);
		done += tx_done(v);
	}
	assert_int_equal(done, VSOCK_REPLIES_MAX);
	fake_run_loop(&v->d);
	assert_false(tx_done(v));
	for (unsigned i = 0; i < VSOCK_REPLIES_MAX + 10; i++) {
		give_rx(v, 1);
		fake_run_loop(&v->d);
		while (got_rx(v)) {
			assert_int_equal(v->host.packet.dst_port, answers);
			answers++;
		}
		done += tx_done(v);
	}
	assert_int_equal(done, VSOCK_REPLIES_MAX + 10);
	assert_int_equal(answers, VSOCK_REPLIES_MAX + 10);
}

static void the_host_is_read_once_there_are_credit_and_buffers(void **state)
{
	struct device *v = *state;
	int listener = host_listens(&v->host, 7), fd;
	struct vsock_packet packet = from_guest(VIRTIO_VSOCK_OP_REQUEST, 9, 7);

	packet.buf_alloc = 0;
	start(v, 0);
	give_rx(v, 2);
	add_tx(v, &packet, 0);
	fake_kick(&v->d, TX);
	assert_int_equal(got_rx(v), VIRTIO_VSOCK_OP_RESPONSE);
	fd = accept(listener, NULL, NULL);
	assert_int_equal(send(fd, "hello", 5, 0), 5);
	run(&v->host);
	assert_int_equal(got_rx(v), VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	packet.op = VIRTIO_VSOCK_OP_CREDIT_UPDATE;
	packet.buf_alloc = 100;
	add_tx(v, &packet, 0);
	fake_kick(&v->d, TX);
	run(&v->host);
	assert_int_equal(got_rx(v), 0);
	give_rx(v, 1);
	assert_int_equal(got_rx(v), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(v->host.packet.len, 5);
	close(fd);
	host_stops(&v->host, listener, 7);
}

/* 64 KiB of payload cost 65 of 1024. */
#define TURN_PACKETS 16
#define PAYLOAD 65536

static void a_turn_of_the_guests_packets_is_bounded(void **state)
{
	struct device *v = *state;
	struct vsock_packet packet = from_guest(VIRTIO_VSOCK_OP_RST, 9, 7);
	struct vsock_header header;
	struct fake_buffer b = { 0, HEADER + PAYLOAD };

	packet.len = PAYLOAD;
	header = vsock_packet_encode(&packet);
	fake_start(&v->d, 0, 64);
	b.gpa = fake_alloc(&v->d, b.len, 64);
	memcpy(fake_ptr(&v->d, b.gpa), &header, HEADER);
	for (unsigned i = 0; i < 3 * TURN_PACKETS; i++)
		fake_add(&v->d, TX, &b, 1, 0);
	fake_kick(&v->d, TX);
	assert_int_equal(fake_used_idx(&v->d, TX), TURN_PACKETS);
	fake_run_loop(&v->d);
	assert_int_equal(fake_used_idx(&v->d, TX), 2 * TURN_PACKETS);
	run(&v->host);
	assert_int_equal(fake_used_idx(&v->d, TX), 3 * TURN_PACKETS);
}

static void a_turn_of_the_hosts_bytes_is_bounded(void **state)
{
	static const uint8_t data[2 * PAYLOAD];
	struct device *v = *state;
	struct fake_buffer b = { 0, HEADER + PAYLOAD };
	int fds[TURN_PACKETS], listener = host_listens(&v->host, 7);

	start(v, 0);
	fake_start(&v->d, 0, 64);
	b.gpa = fake_alloc(&v->d, b.len, 64);
	for (uint32_t i = 0; i < TURN_PACKETS; i++) {
		v->tx_given = 0;
		send_op(v, VIRTIO_VSOCK_OP_REQUEST, i, 7);
		fds[i] = accept(listener, NULL, NULL);
		fake_add(&v->d, RX, &b, 0, 1);
		fake_kick(&v->d, RX);
	}
	assert_int_equal(fake_used_idx(&v->d, RX), TURN_PACKETS);
	for (int i = 0; i < TURN_PACKETS; i++)
		assert_int_equal(send(fds[i], data, sizeof(data), MSG_DONTWAIT),
				 sizeof(data));
	run(&v->host);
	for (unsigned i = 0; i < 2 * TURN_PACKETS; i++)
		fake_add(&v->d, RX, &b, 0, 1);
	fake_kick(&v->d, RX);
	assert_int_equal(fake_used_idx(&v->d, RX), 2 * TURN_PACKETS);
	fake_run_loop(&v->d);
	assert_int_equal(fake_used_idx(&v->d, RX), 3 * TURN_PACKETS);
	for (int i = 0; i < TURN_PACKETS; i++)
		close(fds[i]);
	host_stops(&v->host, listener, 7);
}

/* --- drivers that break the rules --- */

static void expect_broken(struct device *v)
{
	assert_true(fake_needs_reset(&v->d));
	run(&v->host);
	fake_kick(&v->d, TX);
	fake_kick(&v->d, RX);
	fake_kick(&v->d, EVENT);
}

static void packets_without_a_header_need_a_reset(void **state)
{
	struct device *v = *state;
	struct fake_buffer b = { 0, HEADER - 1 };

	start(v, 0);
	b.gpa = v->tx[0];
	fake_add(&v->d, TX, &b, 1, 0);
	fake_kick(&v->d, TX);
	expect_broken(v);
	/* none at all */
	start(v, 0);
	b.len = 0;
	fake_add(&v->d, TX, &b, 1, 0);
	fake_kick(&v->d, TX);
	expect_broken(v);
}

static void packets_longer_than_their_buffers_need_a_reset(void **state)
{
	static const uint32_t lens[] = { 101, 0xffffffff, 0x80000000 };
	struct device *v = *state;
	int listener = host_listens(&v->host, 7);
	struct vsock_packet packet = from_guest(VIRTIO_VSOCK_OP_RW, 9, 7);

	for (unsigned i = 0; i < 3; i++) {
		start(v, 0);
		give_rx(v, 2);
		send_op(v, VIRTIO_VSOCK_OP_REQUEST, 9, 7);
		packet.len = lens[i];
		add_tx(v, &packet, 100);
		fake_kick(&v->d, TX);
		expect_broken(v);
	}
	host_stops(&v->host, listener, 7);
}

static void writable_packets_need_a_reset(void **state)
{
	struct device *v = *state;
	struct fake_buffer b[2] = { { 0, HEADER }, { 0, 100 } };

	start(v, 0);
	b[0].gpa = v->tx[0];
	b[1].gpa = v->tx[1];
	fake_add(&v->d, TX, b, 1, 1);
	fake_kick(&v->d, TX);
	expect_broken(v);
}

static void receive_buffers_of_the_wrong_kind_need_a_reset(void **state)
{
	struct device *v = *state;
	struct fake_buffer b[2] = { { 0, HEADER }, { 0, HEADER } };

	for (unsigned outs = 0; outs < 3; outs++) {
		start(v, 0);
		b[0].gpa = v->rx[0];
		b[1].gpa = v->rx[1];
		/* readable, in part; or too short for any payload */
		fake_add(&v->d, RX, b, outs, outs == 1);
		if (!outs)
			fake_add(&v->d, RX, b, 0, 1);
		fake_kick(&v->d, RX);
		assert_false(fake_needs_reset(&v->d)); /* not looked at yet */
		send_op(v, VIRTIO_VSOCK_OP_RW, 9, 7);
		expect_broken(v);
	}
}

static void bad_rings_end_the_connections(void **state)
{
	struct device *v = *state;
	int listener = host_listens(&v->host, 7), fd;

	for (unsigned queue = 0; queue < 2; queue++) {
		start(v, 0);
		give_rx(v, 1);
		send_op(v, VIRTIO_VSOCK_OP_REQUEST, 9, 7);
		fd = accept(listener, NULL, NULL);
		assert_true(fd >= 0);
		assert_false(has_ended(fd));
		fake_set_avail_idx(&v->d, queue, 0x1000);
		if (queue == RX)
			send_op(v, VIRTIO_VSOCK_OP_RW, 1, 1);
		fake_kick(&v->d, queue);
		assert_true(fake_needs_reset(&v->d));
		assert_true(has_ended(fd));
		expect_broken(v);
		close(fd);
	}
	host_stops(&v->host, listener, 7);
}

static void a_reset_ends_the_connections(void **state)
{
	struct device *v = *state;
	int listener = host_listens(&v->host, 7), fds[3];

	start(v, 0);
	give_rx(v, 4);
	send_op(v, VIRTIO_VSOCK_OP_REQUEST, 9, 7);
	fds[0] = accept(listener, NULL, NULL);
	fds[1] = host_connects(&v->host, "CONNECT 1\n");
	fds[2] = host_connects(&v->host, "CONN");
	fake_write(&v->d, VIRTIO_MMIO_STATUS, 0);
	for (int i = 0; i < 3; i++) {
		assert_true(has_ended(fds[i]));
		close(fds[i]);
	}
	/* and the next driver starts anew, with all features */
	start(v, 3ULL << 28);
	give_rx(v, 1);
	assert_int_equal(got_rx(v), 0);
	send_op(v, VIRTIO_VSOCK_OP_REQUEST, 9, 7);
	assert_int_equal(got_rx(v), VIRTIO_VSOCK_OP_RESPONSE);
	close(accept(listener, NULL, NULL));
	host_stops(&v->host, listener, 7);
}

static void a_stopped_queue_ends_the_connections(void **state)
{
	struct device *v = *state;
	int listener = host_listens(&v->host, 7), fd;

	for (unsigned queue = 0; queue < 3; queue++) {
		start(v, 0);
		give_rx(v, 2);
		send_op(v, VIRTIO_VSOCK_OP_REQUEST, 9, 7);
		fd = accept(listener, NULL, NULL);
		fake_write(&v->d, VIRTIO_MMIO_QUEUE_SEL, queue);
		fake_write(&v->d, VIRTIO_MMIO_QUEUE_READY, 0);
		assert_int_equal(has_ended(fd), queue != EVENT);
		close(fd);
		/* nothing is left that could write into its buffers */
		fd = host_connects(&v->host, "CONNECT 1\n");
		fake_kick(&v->d, TX);
		fake_kick(&v->d, RX);
		send_op(v, VIRTIO_VSOCK_OP_REQUEST, 10, 7);
		assert_int_equal(accept(listener, NULL, NULL) >= 0,
				 queue == EVENT);
		assert_false(fake_needs_reset(&v->d));
		close(fd);
	}
	host_stops(&v->host, listener, 7);
}

/* A driver that has only some of the queues. */
static void missing_queues_are_fine(void **state)
{
	struct device *v = *state;
	int fd;

	for (unsigned queue = 0; queue < 3; queue++) {
		fake_negotiate(&v->d, 0);
		fake_setup_queue(&v->d, queue, ENTRIES);
		fake_driver_ok(&v->d);
		fd = host_connects(&v->host, "CONNECT 1\n");
		for (unsigned i = 0; i < 4; i++)
			fake_kick(&v->d, i);
		assert_false(fake_needs_reset(&v->d));
		close(fd);
	}
}

static void the_event_queue_is_left_alone(void **state)
{
	struct device *v = *state;
	struct fake_buffer b = { FAKE_RAM_BASE, 4 };

	start(v, 0);
	fake_add(&v->d, EVENT, &b, 0, 1);
	fake_kick(&v->d, EVENT);
	fake_run_loop(&v->d);
	assert_int_equal(fake_used_idx(&v->d, EVENT), 0);
	assert_false(fake_needs_reset(&v->d));
}

/* What the host sends meanwhile comes afterwards. */
static void a_pause_leaves_connections_open(void **state)
{
	struct device *v = *state;
	int listener = host_listens(&v->host, 7), fd;

	start(v, 0);
	give_rx(v, 4);
	send_op(v, VIRTIO_VSOCK_OP_REQUEST, 9, 7);
	assert_int_equal(got_rx(v), VIRTIO_VSOCK_OP_RESPONSE);
	fd = accept(listener, NULL, NULL);
	virtio_device_quiesce(v->dev);
	assert_int_equal(send(fd, "hello", 5, 0), 5);
	run(&v->host);
	send_op(v, VIRTIO_VSOCK_OP_REQUEST, 10, 7);
	assert_int_equal(got_rx(v), 0);
	assert_false(tx_done(v) && tx_done(v));
	virtio_device_resume(v->dev);
	run(&v->host);
	assert_int_equal(got_rx(v), VIRTIO_VSOCK_OP_RW);
	assert_memory_equal(v->host.payload, "hello", 5);
	assert_int_equal(got_rx(v), VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(fake_used_idx(&v->d, EVENT), 0);
	close(accept(listener, NULL, NULL));
	close(fd);
	host_stops(&v->host, listener, 7);
}

int main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup_device, teardown_device)
	const struct CMUnitTest tests[] = {
		TEST(the_configuration_has_the_cid),
		TEST(bytes_pass_both_ways),
		TEST(a_header_may_be_spread_over_buffers),
		TEST(the_host_waits_for_the_driver),
		TEST(packets_wait_for_buffers),
		TEST(a_driver_without_buffers_has_to_wait),
		TEST(the_host_is_read_once_there_are_credit_and_buffers),
		TEST(a_turn_of_the_guests_packets_is_bounded),
		TEST(a_turn_of_the_hosts_bytes_is_bounded),
		TEST(packets_without_a_header_need_a_reset),
		TEST(packets_longer_than_their_buffers_need_a_reset),
		TEST(writable_packets_need_a_reset),
		TEST(receive_buffers_of_the_wrong_kind_need_a_reset),
		TEST(bad_rings_end_the_connections),
		TEST(a_reset_ends_the_connections),
		TEST(a_stopped_queue_ends_the_connections),
		TEST(missing_queues_are_fine),
		TEST(the_event_queue_is_left_alone),
		TEST(a_pause_leaves_connections_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
