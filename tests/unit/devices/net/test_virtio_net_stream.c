/* virtio-net on a stream: what a reset, a full socket and missing buffers do
 * to the frames in it.
 */
#include "tests/unit/devices/net/virtio_net_fixture.h"

#include <arpa/inet.h>

#include "devices/net/net_stream.h"
#include "devices/virtio/virtio_state.h"

struct stream_fixture {
	struct fixture net;
	struct net_stream *stream;
};

static int setup_stream(void **state)
{
	static struct stream_fixture f;
	struct error err;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		return -1;
	f.stream = net_stream_create(fds[0], "the peer", &err);
	f.net.peer = fds[1];
	*state = &f;
	return set_up_device(&f.net, net_stream_backend(f.stream));
}

static int teardown_stream(void **state)
{
	struct stream_fixture *f = *state;

	fake_detach(&f->net.d);
	virtio_device_destroy(f->net.dev);
	fake_fini(&f->net.d);
	close(f->net.peer);
	net_stream_destroy(f->stream);
	return 0;
}

static void put_frame(struct fixture *f, uint32_t len)
{
	uint8_t bytes[4 + 65535];
	uint32_t length = htonl(len);

	memcpy(bytes, &length, 4);
	memcpy(bytes + 4, f->frame, len);
	assert_int_equal(send(f->peer, bytes, 4 + len, MSG_DONTWAIT), 4 + len);
}

/* What comes out at the other end; -1 when there is no more. */
static int get_frame(struct fixture *f, uint8_t *frame)
{
	uint32_t len;

	fake_run_loop(&f->d);
	if (recv(f->peer, &len, 4, MSG_DONTWAIT) != 4)
		return -1;
	len = ntohl(len);
	for (uint32_t got = 0; got < len;) {
		ssize_t part =
			recv(f->peer, frame + got, len - got, MSG_DONTWAIT);

		assert_true(part > 0);
		got += (uint32_t)part;
		fake_run_loop(&f->d);
	}
	return (int)len;
}

static void shrink_socket(struct stream_fixture *f)
{
	int room = 1; /* the least there is */

	setsockopt(net_stream_backend(f->stream)->fd, SOL_SOCKET, SO_SNDBUF,
		   &room, sizeof(room));
}

static void no_offload_is_offered(void **state)
{
	struct stream_fixture *f = *state;
	uint64_t offloads = 1ULL << VIRTIO_NET_F_CSUM |
			    1ULL << VIRTIO_NET_F_GUEST_CSUM |
			    1ULL << VIRTIO_NET_F_HOST_TSO4 |
			    1ULL << VIRTIO_NET_F_HOST_TSO6 |
			    1ULL << VIRTIO_NET_F_GUEST_TSO4 |
			    1ULL << VIRTIO_NET_F_GUEST_TSO6;

	assert_int_equal(f->net.dev->features & offloads, 0);
	assert_true(f->net.dev->features & MRG);
}

static void frames_go_both_ways(void **state)
{
	struct fixture *f = &((struct stream_fixture *)*state)->net;
	uint8_t got[2048];
	uint32_t len;
	uint64_t gpa;

	fake_start(&f->d, MRG, 8);
	gpa = give_rx(f, 2048);
	fake_kick(&f->d, VIRTIO_NET_RX);
	put_frame(f, 100);
	fake_run_loop(&f->d);
	assert_true(got_rx(f, &len));
	assert_int_equal(len, HEADER + 100);
	assert_memory_equal(fake_ptr(&f->d, gpa + HEADER), f->frame, 100);
	give_tx(f, 200);
	fake_kick(&f->d, VIRTIO_NET_TX);
	assert_int_equal(get_frame(f, got), 200 - HEADER);
	assert_memory_equal(got, f->frame + HEADER, 200 - HEADER);
}

/* Fetched frames, of which no descriptor tells, are not forgotten. */
static void frames_wait_for_buffers_one_by_one(void **state)
{
	struct fixture *f = &((struct stream_fixture *)*state)->net;
	uint32_t len;

	fake_start(&f->d, MRG, 64);
	for (uint32_t i = 0; i < 20; i++)
		put_frame(f, 60 + i);
	for (uint32_t i = 0; i < 20; i++) {
		fake_run_loop(&f->d);
		assert_false(got_rx(f, &len));
		give_rx(f, 2048);
		fake_kick(&f->d, VIRTIO_NET_RX);
		fake_run_loop(&f->d);
		assert_true(got_rx(f, &len));
		assert_int_equal(len, HEADER + 60 + i);
	}
}

static void a_long_frame_waits_for_a_driver_about_to_refill(void **state)
{
	struct fixture *f = &((struct stream_fixture *)*state)->net;
	uint32_t len;

	fake_start(&f->d, MRG, 64);
	for (int i = 0; i < 64; i++)
		give_rx(f, 1536);
	fake_kick(&f->d, VIRTIO_NET_RX);
	put_frame(f, 65000);
	put_frame(f, 65000);
	fake_run_loop(&f->d);
	for (int i = 0; i < 43; i++)
		assert_true(got_rx(f, &len));
	fake_run_loop(&f->d);
	assert_false(got_rx(f, &len));
	for (int i = 0; i < 43; i++)
		give_rx(f, 1536);
	fake_kick(&f->d, VIRTIO_NET_RX);
	for (int i = 0; i < 43; i++)
		assert_true(got_rx(f, &len));
	assert_false(got_rx(f, &len));
}

static void a_frame_longer_than_all_buffers_is_dropped(void **state)
{
	struct fixture *f = &((struct stream_fixture *)*state)->net;
	uint32_t len;

	fake_start(&f->d, 0, 8);
	give_rx(f, HEADER + 99);
	fake_kick(&f->d, VIRTIO_NET_RX);
	put_frame(f, 100);
	put_frame(f, 13);
	put_frame(f, 99);
	fake_run_loop(&f->d);
	assert_true(got_rx(f, &len));
	assert_int_equal(len, HEADER + 99);
	assert_false(got_rx(f, &len));
}

static void a_turn_is_bounded_and_another_follows(void **state)
{
	struct fixture *f = &((struct stream_fixture *)*state)->net;
	uint8_t bytes[150 * 64] = { 0 };
	uint32_t len;
	unsigned got = 0;

	fake_start(&f->d, MRG, 256);
	for (int i = 0; i < 200; i++)
		give_rx(f, 128);
	fake_kick(&f->d, VIRTIO_NET_RX);
	for (int i = 0; i < 150; i++)
		bytes[64 * i + 3] = 60;
	assert_int_equal(send(f->peer, bytes, sizeof(bytes), 0), sizeof(bytes));
	fake_run_loop(&f->d);
	while (got_rx(f, &len))
		got++;
	assert_int_equal(got, 64);
	for (int i = 0; i < 2; i++)
		fake_run_loop(&f->d);
	while (got_rx(f, &len))
		got++;
	assert_int_equal(got, 150);
}

static void a_reset_amid_a_received_frame_keeps_the_step(void **state)
{
	struct fixture *f = &((struct stream_fixture *)*state)->net;
	uint32_t length = htonl(1000), len;

	fake_start(&f->d, MRG, 8);
	give_rx(f, 2048);
	fake_kick(&f->d, VIRTIO_NET_RX);
	assert_int_equal(send(f->peer, &length, 4, 0), 4);
	assert_int_equal(send(f->peer, f->frame, 500, 0), 500);
	fake_run_loop(&f->d);
	fake_start(&f->d, MRG, 8);
	assert_int_equal(send(f->peer, f->frame + 500, 500, 0), 500);
	put_frame(f, 77);
	give_rx(f, 2048);
	give_rx(f, 2048);
	fake_kick(&f->d, VIRTIO_NET_RX);
	fake_run_loop(&f->d);
	assert_true(got_rx(f, &len));
	assert_int_equal(len, HEADER + 1000);
	assert_true(got_rx(f, &len));
	assert_int_equal(len, HEADER + 77);
}

static void a_reset_amid_a_sent_frame_sends_its_rest(void **state)
{
	struct stream_fixture *sf = *state;
	struct fixture *f = &sf->net;
	uint8_t got[65535];

	shrink_socket(sf);
	fake_start(&f->d, 0, 8);
	give_tx(f, HEADER + 60000);
	give_tx(f, HEADER + 100); /* which has to wait, and never is sent */
	fake_kick(&f->d, VIRTIO_NET_TX);
	assert_int_equal(fake_used_idx(&f->d, VIRTIO_NET_TX), 1);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	memset(f->d.ram, 0xee, FAKE_RAM_SIZE); /* nobody looks at it now */
	assert_int_equal(get_frame(f, got), 60000);
	assert_memory_equal(got, f->frame + HEADER, 60000);
	assert_int_equal(get_frame(f, got), -1);
	fake_start(&f->d, 0, 8);
	give_tx(f, HEADER + 200);
	fake_kick(&f->d, VIRTIO_NET_TX);
	assert_int_equal(get_frame(f, got), 200);
}

/* A held device finishes the frame that it has begun, and begins no other. */
static void a_held_device_sends_no_more_than_the_rest_of_a_frame(void **state)
{
	struct stream_fixture *sf = *state;
	struct fixture *f = &sf->net;
	uint8_t got[65535];

	shrink_socket(sf);
	fake_start(&f->d, 0, 8);
	give_tx(f, HEADER + 60000);
	give_tx(f, HEADER + 100);
	fake_kick(&f->d, VIRTIO_NET_TX);
	assert_int_equal(fake_used_idx(&f->d, VIRTIO_NET_TX), 1);
	virtio_device_quiesce(f->dev);
	assert_int_equal(get_frame(f, got), 60000);
	assert_int_equal(get_frame(f, got), -1);
	assert_int_equal(fake_used_idx(&f->d, VIRTIO_NET_TX), 1);
	virtio_device_resume(f->dev);
	assert_int_equal(get_frame(f, got), 100);
	assert_int_equal(fake_used_idx(&f->d, VIRTIO_NET_TX), 2);
}

/* A guest's reboot makes another device on the same back end. */
static void a_reboot_amid_a_sent_frame_sends_its_rest(void **state)
{
	struct stream_fixture *sf = *state;
	struct fixture *f = &sf->net;
	uint8_t got[65535];

	shrink_socket(sf);
	fake_start(&f->d, 0, 8);
	give_tx(f, HEADER + 60000);
	fake_kick(&f->d, VIRTIO_NET_TX);
	fake_detach(&f->d);
	virtio_device_destroy(f->dev);
	fake_fini(&f->d);
	assert_int_equal(set_up_device(f, net_stream_backend(sf->stream)), 0);
	fake_start(&f->d, 0, 8);
	give_tx(f, HEADER + 200);
	fake_kick(&f->d, VIRTIO_NET_TX);
	assert_int_equal(get_frame(f, got), 60000);
	assert_memory_equal(got, f->frame + HEADER, 60000);
	assert_int_equal(get_frame(f, got), 200);
}

static void a_full_socket_stops_sending_until_it_is_read(void **state)
{
	struct fixture *f = &((struct stream_fixture *)*state)->net;
	struct fake_buffer b = { FAKE_RAM_BASE, 3000 };
	uint8_t got[65535];

	fake_start(&f->d, 0, 256);
	for (int i = 0; i < 250; i++)
		fake_add(&f->d, VIRTIO_NET_TX, &b, 1, 0);
	fake_kick(&f->d, VIRTIO_NET_TX);
	for (int i = 0; i < 4; i++)
		fake_run_loop(&f->d);
	assert_in_range(fake_used_idx(&f->d, VIRTIO_NET_TX), 1, 249);
	for (int i = 0; i < 250; i++)
		assert_int_equal(get_frame(f, got), 3000 - HEADER);
	assert_int_equal(fake_used_idx(&f->d, VIRTIO_NET_TX), 250);
	assert_int_equal(get_frame(f, got), -1);
}

static void the_peers_end_takes_the_link_down(void **state)
{
	struct stream_fixture *sf = *state;
	struct fixture *f = &sf->net;

	shrink_socket(sf);
	fake_start(&f->d, 0, 8);
	give_tx(f, HEADER + 60000);
	give_tx(f, HEADER + 100);
	fake_kick(&f->d, VIRTIO_NET_TX);
	assert_int_equal(fake_used_idx(&f->d, VIRTIO_NET_TX), 1);
	shutdown(f->peer, SHUT_RDWR);
	fake_run_loop(&f->d);
	assert_int_equal(fake_config(&f->d, 6, 2), 0);
	/* what waited is lost, but given back */
	assert_int_equal(fake_used_idx(&f->d, VIRTIO_NET_TX), 2);
	give_tx(f, HEADER + 100);
	fake_kick(&f->d, VIRTIO_NET_TX);
	assert_int_equal(fake_used_idx(&f->d, VIRTIO_NET_TX), 3);
	assert_true(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS) &
		    VIRTIO_MMIO_INT_CONFIG);
}

static void frames_before_the_peers_end_are_received(void **state)
{
	struct fixture *f = &((struct stream_fixture *)*state)->net;
	uint32_t len;

	fake_start(&f->d, MRG, 8);
	give_rx(f, 2048);
	give_rx(f, 2048);
	fake_kick(&f->d, VIRTIO_NET_RX);
	put_frame(f, 100);
	shutdown(f->peer, SHUT_RDWR);
	fake_run_loop(&f->d);
	assert_true(got_rx(f, &len));
	assert_int_equal(fake_config(&f->d, 6, 2), 0);
	fake_run_loop(&f->d);
	assert_false(got_rx(f, &len));
}

int main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup_stream, teardown_stream)
	const struct CMUnitTest tests[] = {
		TEST(no_offload_is_offered),
		TEST(frames_go_both_ways),
		TEST(frames_wait_for_buffers_one_by_one),
		TEST(a_long_frame_waits_for_a_driver_about_to_refill),
		TEST(a_frame_longer_than_all_buffers_is_dropped),
		TEST(a_turn_is_bounded_and_another_follows),
		TEST(a_reset_amid_a_received_frame_keeps_the_step),
		TEST(a_reset_amid_a_sent_frame_sends_its_rest),
		TEST(a_held_device_sends_no_more_than_the_rest_of_a_frame),
		TEST(a_reboot_amid_a_sent_frame_sends_its_rest),
		TEST(a_full_socket_stops_sending_until_it_is_read),
		TEST(the_peers_end_takes_the_link_down),
		TEST(frames_before_the_peers_end_are_received),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
