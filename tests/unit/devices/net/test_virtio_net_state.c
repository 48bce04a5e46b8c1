/* No frame is lost or comes twice, either way, over pauses and moves to another
 * device, and what the driver has set stays set.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/le_types.h"
#include "devices/net/net_tap.h"
#include "devices/net/virtio_net.h"
#include "devices/virtio/virtio_state.h"
#include "tests/state_harness.h"

#define RX VIRTIO_NET_RX
#define TX VIRTIO_NET_TX
#define CONTROL 2
#define MRG (1ULL << VIRTIO_NET_F_MRG_RXBUF)

/* Frames are numbered, each with its length and a pattern. */
struct net_test {
	struct net_tap tap;
	int peer;
	uint32_t sent, arrived; /* by the driver, and at the peer */
	uint32_t given, taken;	/* by the peer, and at the driver */
	bool unchecked;		/* damaged devices have sent, too */
};

static void make_frame(uint8_t *frame, uint32_t number, uint32_t len)
{
	memset(frame, 0, NET_HEADER);
	for (uint32_t i = NET_HEADER; i < len; i++)
		frame[i] = (uint8_t)(number + i);
	memcpy(frame + NET_HEADER, &number, sizeof(number));
}

static void expect_frame(const uint8_t *frame, uint32_t number, uint32_t len)
{
	uint32_t found;

	assert_true(len >= NET_HEADER + NET_FRAME_MIN);
	memcpy(&found, frame + NET_HEADER, sizeof(found));
	assert_int_equal(found, number);
	for (uint32_t i = NET_HEADER + sizeof(number); i < len; i++)
		assert_int_equal(frame[i], (uint8_t)(number + i));
}

static struct virtio_device *create(struct state_harness *h)
{
	struct net_test *t = h->ctx;
	const struct virtio_net_options options = {
		.backends = { &t->tap.backend },
		.pairs = 1,
		.rx_limits.ops = { 20000, 5 },
		.tx_limits.ops = { 20000, 5 },
	};
	struct error err;

	return virtio_net_create(&options, &h->d.mem, h->d.loop, &err);
}

static uint32_t random_length(struct state_harness *h)
{
	return NET_HEADER + NET_FRAME_MIN + state_random(h, 1000);
}

static void driver_sends(struct state_harness *h)
{
	struct net_test *t = h->ctx;
	struct state_chain *chain = state_free_chain(h, TX);
	uint32_t len = random_length(h);
	const uint32_t lens[] = { NET_HEADER, len - NET_HEADER };

	if (!chain)
		return;
	make_frame(state_ptr(h, chain), t->sent++, len);
	state_give(h, TX, chain, lens, 2, 0);
}

static void driver_listens(struct state_harness *h)
{
	struct state_chain *chain = state_free_chain(h, RX);
	const uint32_t lens[] = { STATE_ROOM / 2, STATE_ROOM / 2 };

	if (chain)
		state_give(h, RX, chain, lens, 0, 2);
}

static void peer_sends(struct state_harness *h)
{
	struct net_test *t = h->ctx;
	uint8_t frame[2048];
	uint32_t len = random_length(h);

	make_frame(frame, t->given, len);
	if (send(t->peer, frame, len, 0) == (ssize_t)len)
		t->given++;
}

static void peer_receives(struct state_harness *h)
{
	struct net_test *t = h->ctx;
	uint8_t frame[2048];
	ssize_t len;

	while ((len = recv(t->peer, frame, sizeof(frame), 0)) > 0)
		if (!t->unchecked)
			expect_frame(frame, t->arrived++, (uint32_t)len);
}

static void driver_commands(struct state_harness *h)
{
	static const uint8_t command[] = { VIRTIO_NET_CTRL_RX,
					   VIRTIO_NET_CTRL_RX_PROMISC, 1,
					   0xff };
	const uint32_t lens[] = { 3, 1 };
	struct state_chain *chain = state_free_chain(h, CONTROL);

	if (!chain)
		return;
	memcpy(state_ptr(h, chain), command, sizeof(command));
	state_give(h, CONTROL, chain, lens, 1, 1);
}

static void step(struct state_harness *h)
{
	static void (*const deeds[])(struct state_harness * h) = {
		driver_sends, driver_sends,  driver_listens,  driver_listens,
		peer_sends,   peer_receives, driver_commands,
	};

	deeds[state_random(h, sizeof(deeds) / sizeof(deeds[0]))](h);
}

static void settle(struct state_harness *h)
{
	struct net_test *t = h->ctx;

	for (unsigned i = 0;
	     i < 10000 && (t->taken != t->given || t->arrived != t->sent);
	     i++) {
		driver_listens(h);
		peer_receives(h);
		state_collect(h);
		if (i > 100)
			usleep(100); /* the limit */
	}
	assert_int_equal(t->taken, t->given);
	assert_int_equal(t->arrived, t->sent);
}

static void used(struct state_harness *h, unsigned queue,
		 struct state_chain *chain, uint32_t len)
{
	struct net_test *t = h->ctx;
	const uint8_t *frame = state_ptr(h, chain);

	if (queue == RX)
		expect_frame(frame, t->taken++, len);
	if (queue == CONTROL)
		assert_int_equal(frame[3], VIRTIO_NET_OK);
}

static void run_with(uint64_t features,
		     void (*run)(const struct state_device *device, void *ctx))
{
	const struct state_device net = {
		.create = create,
		.destroy = virtio_device_destroy,
		.features = features | 1ULL << VIRTIO_NET_F_CTRL_VQ |
			    1ULL << VIRTIO_NET_F_CTRL_RX,
		.queue_size = 16,
		.descs = 2,
		.keeps = 1u << RX,
		.step = step,
		.settle = settle,
		.used = used,
	};
	struct net_test t = { .unchecked = run == state_load_damaged };
	int fds[2], small = 4096;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
	/* so that the device has to wait for room */
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	net_tap_init(&t.tap, fds[0]);
	t.peer = fds[1];
	run(&net, &t);
	net_tap_close(&t.tap);
	close(t.peer);
}

static void the_driver_cannot_tell(void **state)
{
	(void)state;
	run_with(0, state_run_all);
}

static void nor_with_mergeable_buffers(void **state)
{
	(void)state;
	run_with(MRG, state_run_all);
}

/* --- what the driver has set --- */

#define OFFLOADS \
	(1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_TSO4)

struct wire {
	struct net_backend backend;
	bool active;
	uint64_t offloads;
};

static ssize_t no_frame(struct net_backend *backend, struct iovec *iov,
			unsigned count, size_t capacity)
{
	(void)backend;
	(void)iov;
	(void)count;
	(void)capacity;
	return -1;
}

static int set_active(struct net_backend *backend, bool active)
{
	((struct wire *)backend)->active = active;
	return 0;
}

static int set_offloads(struct net_backend *backend, uint64_t offloads)
{
	((struct wire *)backend)->offloads = offloads;
	return 0;
}

static const struct net_backend_ops wire_ops = {
	.receive = no_frame,
	.set_active = set_active,
	.set_offloads = set_offloads,
};

static struct virtio_device *create_wired(struct fake_driver *d,
					  struct wire wires[2])
{
	struct virtio_net_options options = { .pairs = 2 };
	struct error err;

	for (unsigned i = 0; i < 2; i++) {
		wires[i] = (struct wire){
			.backend = { .ops = &wire_ops,
				     .name = "the wire",
				     .fd = -1,
				     .features = OFFLOADS },
		};
		options.backends[i] = &wires[i].backend;
	}
	return virtio_net_create(&options, &d->mem, d->loop, &err);
}

static void command(struct fake_driver *d, uint8_t class, uint8_t code,
		    uint64_t value, uint32_t size)
{
	uint64_t at = fake_alloc(d, 16, 16);
	struct fake_buffer b[] = { { at, 2 + size }, { at + 12, 1 } };
	le64_t data = le64(value);
	uint8_t *bytes = fake_ptr(d, at);

	bytes[0] = class;
	bytes[1] = code;
	memcpy(bytes + 2, &data, size);
	bytes[12] = 0xff;
	fake_add(d, 4, b, 1, 1);
	fake_kick(d, 4);
	assert_int_equal(bytes[12], VIRTIO_NET_OK);
}

static void start_wired(struct fake_driver *d, struct wire wires[2],
			struct mock_transport *transport)
{
	fake_init(d);
	fake_attach_mock(d, create_wired(d, wires), transport);
	fake_start(d,
		   OFFLOADS | 1ULL << VIRTIO_NET_F_CTRL_VQ |
			   1ULL << VIRTIO_NET_F_MQ |
			   1ULL << VIRTIO_NET_F_STATUS |
			   1ULL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
		   8);
	command(d, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 2);
	command(d, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
		VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
		1ULL << VIRTIO_NET_F_GUEST_CSUM, 8);
	virtio_net_set_link(d->dev, false);
	virtio_device_quiesce(d->dev);
}

static void replace(struct fake_driver *d, struct wire wires[2],
		    struct mock_transport *transport)
{
	fake_detach(d);
	virtio_device_destroy(d->dev);
	fake_attach_mock(d, create_wired(d, wires), transport);
}

static void end(struct fake_driver *d)
{
	fake_detach(d);
	virtio_device_destroy(d->dev);
	fake_fini(d);
}

static void back_ends_are_set_as_the_driver_wants(void **state)
{
	struct mock_transport transport;
	struct fake_driver d;
	struct wire wires[2];
	uint64_t saved[128];
	struct virtio_net_config config;
	struct error err;
	size_t size;

	(void)state;
	start_wired(&d, wires, &transport);
	size = virtio_device_state_size(d.dev);
	virtio_device_save(d.dev, saved);
	replace(&d, wires, &transport);
	assert_int_equal(virtio_device_load(d.dev, saved, size, &err), 0);
	assert_false(wires[1].active);
	virtio_device_resume(d.dev);
	assert_true(wires[1].active);
	assert_int_equal(wires[0].offloads, 1ULL << VIRTIO_NET_F_GUEST_CSUM);
	memcpy(&config, d.dev->config, sizeof(config));
	assert_int_equal(config.status, 0);
	assert_true(virtio_device_up(d.dev));
	end(&d);
}

/* struct virtio_net_state: offloads, and pairs that are used. */
static void states_that_no_driver_can_make(void **state)
{
	const size_t own = sizeof(struct virtio_device_state);
	static const struct {
		uint64_t offloads;
		uint16_t pairs;
		bool refused;
	} bad[] = {
		{ 0, 0, true },
		{ 0, 3, true },
		{ 0, UINT16_MAX, true },
		{ 1ULL << VIRTIO_NET_F_GUEST_TSO6, 1, false },
		{ UINT64_MAX, 2, false },
	};
	struct mock_transport transport;
	struct fake_driver d;
	struct wire wires[2];
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t saved[128];
		size_t size;
		int ret;

		start_wired(&d, wires, &transport);
		size = virtio_device_state_size(d.dev);
		virtio_device_save(d.dev, saved);
		memcpy((uint8_t *)saved + own, &bad[i].offloads, 8);
		memcpy((uint8_t *)saved + own + 8, &bad[i].pairs, 2);
		replace(&d, wires, &transport);
		ret = virtio_device_load(d.dev, saved, size, &err);
		assert_int_equal(ret, bad[i].refused ? -1 : 0);
		if (ret == 0) {
			virtio_device_resume(d.dev);
			assert_true(fake_needs_reset(&d));
		}
		end(&d);
	}
}

static void damaged_states_do_no_harm(void **state)
{
	(void)state;
	run_with(MRG, state_load_damaged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_driver_cannot_tell),
		cmocka_unit_test(nor_with_mergeable_buffers),
		cmocka_unit_test(damaged_states_do_no_harm),
		cmocka_unit_test(back_ends_are_set_as_the_driver_wants),
		cmocka_unit_test(states_that_no_driver_can_make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
