/* The transmit side of virtio-net. */
#include "tests/unit/devices/net/virtio_net_fixture.h"

static void a_frame_is_sent_whole_with_its_header(void **state)
{
	struct fixture *f = *state;
	uint8_t got[2048];
	uint32_t head, len;

	fake_start(&f->d, 0, 8);
	give_tx(f, 200);
	fake_kick(&f->d, VIRTIO_NET_TX);
	assert_int_equal(recv(f->peer, got, sizeof(got), 0), 200);
	assert_memory_equal(got, f->frame, 200);
	assert_true(fake_get_used(&f->d, VIRTIO_NET_TX, &head, &len));
	assert_int_equal(len, 0);
	assert_int_equal(fake_interrupts(&f->d), 1);
}

static void odd_frames_are_not_sent_but_given_back(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer huge[] = { { FAKE_RAM_BASE, 60000 },
				      { FAKE_RAM_BASE, 60000 } };
	struct fake_buffer none = { FAKE_RAM_BASE, 100 };
	uint8_t got[64];

	fake_start(&f->d, 0, 8);
	give_tx(f, HEADER + 13);
	fake_add(&f->d, VIRTIO_NET_TX, huge, 2, 0);
	fake_add(&f->d, VIRTIO_NET_TX, &none, 0, 1);
	fake_kick(&f->d, VIRTIO_NET_TX);
	assert_int_equal(fake_used_idx(&f->d, VIRTIO_NET_TX), 3);
	assert_int_equal(recv(f->peer, got, sizeof(got), 0), -1);
}

static void a_full_tap_stops_sending_until_it_is_writable(void **state)
{
	struct fixture *f = *state;
	uint8_t got[64];
	unsigned received = 0;

	fake_start(&f->d, 0, 256);
	for (int i = 0; i < 250; i++) {
		struct fake_buffer b = { FAKE_RAM_BASE, 64 };

		fake_add(&f->d, VIRTIO_NET_TX, &b, 1, 0);
	}
	fake_kick(&f->d, VIRTIO_NET_TX);
	while (fake_used_idx(&f->d, VIRTIO_NET_TX) < 250 || received < 250) {
		unsigned before = received;

		while (recv(f->peer, got, sizeof(got), 0) == 64)
			received++;
		assert_int_not_equal(received, before);
		fake_run_loop(&f->d);
		fake_run_loop(&f->d);
	}
	assert_int_equal(received, 250);
}

static void a_stopped_queue_does_not_wait_for_the_tap(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = { FAKE_RAM_BASE, 64 };
	uint8_t got[64];
	int room = 1; /* the least there is: a few frames */

	setsockopt(f->tap.backend.fd, SOL_SOCKET, SO_SNDBUF, &room,
		   sizeof(room));
	fake_start(&f->d, 0, 64);
	for (int i = 0; i < 60; i++)
		fake_add(&f->d, VIRTIO_NET_TX, &b, 1, 0);
	fake_kick(&f->d, VIRTIO_NET_TX);
	assert_in_range(fake_used_idx(&f->d, VIRTIO_NET_TX), 1, 59);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, VIRTIO_NET_TX);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
	while (recv(f->peer, got, sizeof(got), 0) == 64)
		;
	fake_run_loop(&f->d);
	assert_int_equal(recv(f->peer, got, sizeof(got), 0), -1);
	assert_false(fake_needs_reset(&f->d));
}

static void a_transmit_turn_is_bounded(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 256);
	for (int i = 0; i < 100; i++) {
		struct fake_buffer b = { FAKE_RAM_BASE, 13 };

		fake_add(&f->d, VIRTIO_NET_TX, &b, 1, 0);
	}
	fake_kick(&f->d, VIRTIO_NET_TX);
	assert_int_equal(fake_used_idx(&f->d, VIRTIO_NET_TX), 64);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, VIRTIO_NET_TX), 100);
}

static void a_device_with_one_queue_ready_works(void **state)
{
	struct fixture *f = *state;

	fake_negotiate(&f->d, 0);
	fake_setup_queue(&f->d, VIRTIO_NET_TX, 8);
	fake_driver_ok(&f->d);
	assert_false(fake_needs_reset(&f->d));
	send_frame(f, 64);
	fake_run_loop(&f->d);
	give_tx(f, 100);
	fake_kick(&f->d, VIRTIO_NET_TX);
	assert_int_equal(fake_used_idx(&f->d, VIRTIO_NET_TX), 1);
	assert_false(fake_needs_reset(&f->d));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_frame_is_sent_whole_with_its_header),
		TEST(odd_frames_are_not_sent_but_given_back),
		TEST(a_full_tap_stops_sending_until_it_is_writable),
		TEST(a_stopped_queue_does_not_wait_for_the_tap),
		TEST(a_transmit_turn_is_bounded),
		TEST(a_device_with_one_queue_ready_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
