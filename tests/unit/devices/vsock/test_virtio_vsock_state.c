/* Packets come once and in order over pauses and moves to another device; of a
 * move, which ends all connections, the driver hears by the event queue.
 */
#include "tests/unit/unit.h"

#include <string.h>

#include "devices/virtio/virtio_state.h"
#include "devices/vsock/virtio_vsock.h"
#include "devices/vsock/vsock_packet.h"
#include "tests/state_harness.h"

#define RX VIRTIO_VSOCK_RX
#define TX VIRTIO_VSOCK_TX
#define EVENT VIRTIO_VSOCK_EVENT
#define CID 5

/* Each packet of the driver's is for a connection that there is none of, and
 * is answered by a reset, unless a move comes between. */
struct vsock_test {
	uint32_t sent, answered; /* ports: all below these */
	uint32_t excused;	 /* those below this, by the last move */
	unsigned moves, events;
};

static struct virtio_device *create(struct state_harness *h)
{
	const struct virtio_vsock_options options = {
		.listen_fd = h->d.irq_fd, /* which nobody signals */
		.guest_cid = CID,
	};
	struct vsock_test *t = h->ctx;
	struct error err;

	if (!h->moves)
		*t = (struct vsock_test){ 0 };
	t->excused = t->sent;
	return virtio_vsock_create(&options, &h->d.mem, h->d.loop, &err);
}

static void send_packet(struct state_harness *h)
{
	struct vsock_test *t = h->ctx;
	struct state_chain *chain = state_free_chain(h, TX);
	const struct vsock_packet packet = {
		.src_cid = CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = t->sent,
		.dst_port = 99,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = VIRTIO_VSOCK_OP_RW,
	};
	const struct vsock_header header = vsock_packet_encode(&packet);
	const uint32_t lens[] = { 20, sizeof(header) - 20 };

	if (!chain)
		return;
	memcpy(state_ptr(h, chain), &header, sizeof(header));
	t->sent++;
	state_give(h, TX, chain, lens, 2, 0);
}

static void give(struct state_harness *h, unsigned queue)
{
	struct state_chain *chain = state_free_chain(h, queue);
	const uint32_t lens[] = { queue == RX ? STATE_ROOM / 2 : 3,
				  queue == RX ? STATE_ROOM / 2 : 5 };

	if (chain)
		state_give(h, queue, chain, lens, 0, 2);
}

static void step(struct state_harness *h)
{
	switch (state_random(h, 4)) {
	case 0:
	case 1:
		send_packet(h);
		break;
	case 2:
		give(h, RX);
		break;
	case 3:
		give(h, EVENT);
		break;
	}
}

static void settle(struct state_harness *h)
{
	struct vsock_test *t = h->ctx;

	for (unsigned i = 0; i < 500; i++) {
		give(h, RX);
		give(h, EVENT);
		state_collect(h);
	}
	assert_true(t->answered == t->sent ||
		    (t->answered < t->sent && t->sent <= t->excused));
	assert_int_equal(t->events > 0, h->moves > 0);
	assert_true(t->events <= h->moves);
}

static void used(struct state_harness *h, unsigned queue,
		 struct state_chain *chain, uint32_t len)
{
	struct vsock_test *t = h->ctx;
	struct vsock_header header;
	struct vsock_packet packet;
	uint32_t event;

	if (queue == TX) {
		assert_int_equal(len, 0);
	} else if (queue == EVENT) {
		assert_int_equal(len, 4);
		memcpy(&event, state_ptr(h, chain), sizeof(event));
		assert_int_equal(event, VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
		t->events++;
	} else {
		memcpy(&header, state_ptr(h, chain), sizeof(header));
		packet = vsock_packet_decode(&header);
		assert_int_equal(packet.op, VIRTIO_VSOCK_OP_RST);
		assert_true(packet.dst_port >= t->answered);
		assert_true(packet.dst_port == t->answered ||
			    packet.dst_port <= t->excused);
		t->answered = packet.dst_port + 1;
	}
}

static const struct state_device vsock = {
	.create = create,
	.destroy = virtio_device_destroy,
	.queue_size = 16,
	.descs = 2,
	.keeps = 1u << RX | 1u << EVENT,
	.step = step,
	.settle = settle,
	.used = used,
};

static void the_driver_can_tell_by_the_event_alone(void **state)
{
	struct vsock_test t;

	(void)state;
	state_run_all(&vsock, &t);
}

/* --- the event --- */

static void move(struct state_harness *h)
{
	uint64_t saved[128];
	size_t size = virtio_device_state_size(h->d.dev);
	struct error err;

	virtio_device_quiesce(h->d.dev);
	virtio_device_save(h->d.dev, saved);
	fake_detach(&h->d);
	virtio_device_destroy(h->d.dev);
	fake_attach_mock(&h->d, create(h), &h->transport);
	assert_int_equal(virtio_device_load(h->d.dev, saved, size, &err), 0);
	virtio_device_resume(h->d.dev);
	fake_run_loop(&h->d);
}

static void setup_moved(struct state_harness *h, struct vsock_test *t)
{
	*h = (struct state_harness){ .ctx = t };
	fake_init(&h->d);
	fake_attach_mock(&h->d, create(h), &h->transport);
	fake_start(&h->d, 0, 8);
	move(h);
}

static void add_event(struct state_harness *h, uint32_t len, bool writable)
{
	struct fake_buffer b = { fake_alloc(&h->d, 16, 16), len };

	fake_add(&h->d, EVENT, &b, !writable, writable);
	fake_kick(&h->d, EVENT);
	fake_run_loop(&h->d);
}

static void end(struct state_harness *h)
{
	fake_detach(&h->d);
	virtio_device_destroy(h->d.dev);
	fake_fini(&h->d);
}

static void the_event_waits_for_a_buffer_and_comes_once(void **state)
{
	struct vsock_test t;
	struct state_harness h;

	(void)state;
	setup_moved(&h, &t);
	move(&h); /* it is still due */
	mock_transport_interrupts(&h.transport, EVENT);
	add_event(&h, 8, true);
	assert_int_equal(fake_used_idx(&h.d, EVENT), 1);
	assert_int_equal(mock_transport_interrupts(&h.transport, EVENT), 1);
	add_event(&h, 8, true);
	assert_int_equal(fake_used_idx(&h.d, EVENT), 1);
	end(&h);
}

static void a_reset_by_the_driver_makes_the_event_needless(void **state)
{
	struct vsock_test t;
	struct state_harness h;

	(void)state;
	setup_moved(&h, &t);
	fake_start(&h.d, 0, 8);
	add_event(&h, 8, true);
	assert_int_equal(fake_used_idx(&h.d, EVENT), 0);
	end(&h);
}

static void buffers_that_no_event_fits_into_need_a_reset(void **state)
{
	struct vsock_test t;
	struct state_harness h;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		setup_moved(&h, &t);
		add_event(&h, i ? 8 : 3, i == 0);
		assert_true(fake_needs_reset(&h.d));
		end(&h);
	}
}

static void damaged_states_do_no_harm(void **state)
{
	struct vsock_test t;

	(void)state;
	state_load_damaged(&vsock, &t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_driver_can_tell_by_the_event_alone),
		cmocka_unit_test(damaged_states_do_no_harm),
		cmocka_unit_test(the_event_waits_for_a_buffer_and_comes_once),
		cmocka_unit_test(
			a_reset_by_the_driver_makes_the_event_needless),
		cmocka_unit_test(buffers_that_no_event_fits_into_need_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
