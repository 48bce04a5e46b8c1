/* virtio-net with several queue pairs, and its control queue. */
#include "tests/unit/devices/net/virtio_net_fixture.h"

#include <errno.h>

#define PAIRS 3
#define CONTROL (2 * PAIRS)
#define MQ (1ULL << VIRTIO_NET_F_MQ)
#define CTRL                                                           \
	(1ULL << VIRTIO_NET_F_CTRL_VQ | 1ULL << VIRTIO_NET_F_CTRL_RX | \
	 1ULL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS)

/* Back ends that remember what they were told. */
struct wire {
	struct net_tap tap;
	struct net_backend_ops ops;
	int peer;
	bool active;
	bool refuses;
	uint64_t offloads;
};

static struct wire wires[PAIRS];

static struct wire *wire_of(struct net_backend *backend)
{
	struct net_tap *tap = (struct net_tap *)(void *)backend;

	for (unsigned i = 0; i < PAIRS; i++)
		if (&wires[i].tap == tap)
			return &wires[i];
	return NULL;
}

static int set_active(struct net_backend *backend, bool active)
{
	struct wire *wire = wire_of(backend);

	if (wire->refuses)
		return -EIO;
	wire->active = active;
	return 0;
}

static int set_offloads(struct net_backend *backend, uint64_t offloads)
{
	struct wire *wire = wire_of(backend);

	if (wire->refuses)
		return -EIO;
	wire->offloads = offloads;
	return 0;
}

static int setup_pairs(void **state)
{
	static struct fixture f;
	struct virtio_net_options options = {
		.pairs = PAIRS,
		.rx_limits = fixture_rx_limits,
		.tx_limits = fixture_tx_limits,
	};
	struct error err;

	for (unsigned i = 0; i < PAIRS; i++) {
		int fds[2];

		if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds))
			return -1;
		wires[i] = (struct wire){ .peer = fds[1], .active = true };
		net_tap_init(&wires[i].tap, fds[0]);
		wires[i].ops = *wires[i].tap.backend.ops;
		wires[i].ops.set_active = set_active;
		wires[i].ops.set_offloads = set_offloads;
		wires[i].tap.backend.ops = &wires[i].ops;
		options.backends[i] = &wires[i].tap.backend;
	}
	fake_init(&f.d);
	f.dev = virtio_net_create(&options, &f.d.mem, f.d.loop, &err);
	fake_attach(&f.d, f.dev);
	for (size_t i = 0; i < sizeof(f.frame); i++)
		f.frame[i] = (uint8_t)(i * 7);
	*state = &f;
	return !f.dev;
}

/* One frame at a time. */
static int setup_limited(void **state)
{
	static const struct rate_limits frames = { .ops = { 200, 1 } };
	int ret;

	fixture_rx_limits = fixture_tx_limits = frames;
	ret = setup_pairs(state);
	fixture_rx_limits = fixture_tx_limits = (struct rate_limits){ 0 };
	return ret;
}

static int teardown_pairs(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	virtio_device_destroy(f->dev);
	fake_fini(&f->d);
	for (unsigned i = 0; i < PAIRS; i++) {
		close(wires[i].peer);
		net_tap_close(&wires[i].tap);
	}
	return 0;
}

/* --- the driver --- */

/* A command of the readable parts; what the device answered, or -1. */
static int answer_of(struct fixture *f, unsigned queue,
		     const struct fake_buffer *parts, unsigned count)
{
	struct fake_buffer chain[8];
	uint64_t ack = fake_alloc(&f->d, 1, 1);
	uint32_t head, len;

	memcpy(chain, parts, count * sizeof(parts[0]));
	chain[count] = (struct fake_buffer){ ack, 1 };
	*(uint8_t *)fake_ptr(&f->d, ack) = 0xee;
	fake_add(&f->d, queue, chain, count, 1);
	fake_kick(&f->d, queue);
	if (!fake_get_used(&f->d, queue, &head, &len))
		return -1;
	assert_int_equal(len, 1);
	return *(uint8_t *)fake_ptr(&f->d, ack);
}

/* A command as Linux lays it out: the header by itself. */
static int command_on(struct fixture *f, unsigned queue, uint8_t class,
		      uint8_t code, const void *data, uint32_t size)
{
	struct fake_buffer parts[2] = { { fake_alloc(&f->d, 2, 1), 2 },
					{ fake_alloc(&f->d, size, 1), size } };
	uint8_t *header = fake_ptr(&f->d, parts[0].gpa);

	header[0] = class;
	header[1] = code;
	if (size)
		memcpy(fake_ptr(&f->d, parts[1].gpa), data, size);
	return answer_of(f, queue, parts, size ? 2 : 1);
}

static int command(struct fixture *f, uint8_t class, uint8_t code,
		   const void *data, uint32_t size)
{
	return command_on(f, CONTROL, class, code, data, size);
}

static int use_pairs(struct fixture *f, uint8_t pairs)
{
	uint8_t data[2] = { pairs };

	return command(f, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
		       data, 2);
}

static void give(struct fixture *f, unsigned pair, int count)
{
	for (int i = 0; i < count; i++) {
		struct fake_buffer b = { fake_alloc(&f->d, 2048, 64), 2048 };

		fake_add(&f->d, 2 * pair, &b, 0, 1);
	}
	fake_kick(&f->d, 2 * pair);
}

static bool received(struct fixture *f, unsigned pair)
{
	uint32_t head, len;

	return fake_get_used(&f->d, 2 * pair, &head, &len);
}

static void start(struct fixture *f)
{
	fake_start(&f->d, MRG | MQ | CTRL | TSO, 32);
}

/* --- tests --- */

static void the_config_tells_of_all_pairs(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_config(&f->d, 8, 2), PAIRS);
	assert_true(f->dev->features & MQ);
}

static void one_pair_is_used_until_the_driver_asks(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_true(wires[0].active);
	assert_false(wires[1].active || wires[2].active);
	give(f, 1, 2);
	send(wires[1].peer, f->frame, 64, 0);
	fake_run_loop(&f->d);
	assert_false(received(f, 1));
	assert_int_equal(use_pairs(f, 2), VIRTIO_NET_OK);
	assert_true(wires[1].active);
	assert_false(wires[2].active);
	fake_run_loop(&f->d);
	assert_true(received(f, 1));
}

static void each_pair_has_its_own_wire(void **state)
{
	struct fixture *f = *state;
	uint8_t got[200];

	start(f);
	assert_int_equal(use_pairs(f, PAIRS), VIRTIO_NET_OK);
	for (unsigned i = 0; i < PAIRS; i++) {
		struct fake_buffer b = { fake_alloc(&f->d, 200, 64), 100 + i };

		give(f, i, 1);
		fake_add(&f->d, 2 * i + 1, &b, 1, 0);
		fake_kick(&f->d, 2 * i + 1);
		assert_int_equal(recv(wires[i].peer, got, sizeof(got), 0),
				 100 + i);
		send(wires[i].peer, f->frame, 64, 0);
		fake_run_loop(&f->d);
		for (unsigned j = 0; j < PAIRS; j++)
			assert_int_equal(received(f, j), i == j);
	}
}

static void a_pair_that_is_given_up_loses_its_frames(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = { FAKE_RAM_BASE, 100 };
	uint8_t got[100];

	start(f);
	assert_int_equal(use_pairs(f, PAIRS), VIRTIO_NET_OK);
	give(f, 2, 1);
	assert_int_equal(use_pairs(f, 1), VIRTIO_NET_OK);
	assert_false(wires[1].active || wires[2].active);
	send(wires[2].peer, f->frame, 64, 0);
	fake_run_loop(&f->d);
	assert_false(received(f, 2));
	fake_add(&f->d, 5, &b, 1, 0);
	fake_kick(&f->d, 5);
	assert_int_equal(fake_used_idx(&f->d, 5), 1);
	assert_int_equal(recv(wires[2].peer, got, sizeof(got), 0), -1);
}

static void a_blocked_pair_that_is_given_up_gives_buffers_back(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = { FAKE_RAM_BASE, 64 };
	int room = 1;

	setsockopt(wires[1].tap.backend.fd, SOL_SOCKET, SO_SNDBUF, &room,
		   sizeof(room));
	start(f);
	assert_int_equal(use_pairs(f, 2), VIRTIO_NET_OK);
	for (int i = 0; i < 30; i++)
		fake_add(&f->d, 3, &b, 1, 0);
	fake_kick(&f->d, 3);
	assert_in_range(fake_used_idx(&f->d, 3), 1, 29);
	assert_int_equal(use_pairs(f, 1), VIRTIO_NET_OK);
	assert_int_equal(fake_used_idx(&f->d, 3), 30);
}

static void numbers_of_pairs_that_there_are_not_are_refused(void **state)
{
	struct fixture *f = *state;
	static const uint8_t huge[2] = { 0xff, 0xff };

	start(f);
	assert_int_equal(use_pairs(f, 2), VIRTIO_NET_OK);
	assert_int_equal(use_pairs(f, 0), VIRTIO_NET_ERR);
	assert_int_equal(use_pairs(f, PAIRS + 1), VIRTIO_NET_ERR);
	assert_int_equal(command(f, VIRTIO_NET_CTRL_MQ, 0, huge, 2),
			 VIRTIO_NET_ERR);
	assert_true(wires[1].active);
}

static void pairs_that_cannot_be_had_change_nothing(void **state)
{
	struct fixture *f = *state;

	start(f);
	wires[2].refuses = true;
	assert_int_equal(use_pairs(f, 3), VIRTIO_NET_ERR);
	assert_false(wires[1].active);
	assert_int_equal(use_pairs(f, 2), VIRTIO_NET_OK);
	assert_int_equal(use_pairs(f, 3), VIRTIO_NET_ERR);
	assert_true(wires[1].active);
	give(f, 1, 1);
	send(wires[1].peer, f->frame, 64, 0);
	fake_run_loop(&f->d);
	assert_true(received(f, 1));
}

static void a_reset_goes_back_to_one_pair(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_int_equal(use_pairs(f, PAIRS), VIRTIO_NET_OK);
	start(f);
	assert_false(wires[1].active || wires[2].active);
	give(f, 1, 1);
	send(wires[1].peer, f->frame, 64, 0);
	fake_run_loop(&f->d);
	assert_false(received(f, 1));
}

static void a_stopped_queue_leaves_the_others_alone(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_int_equal(use_pairs(f, PAIRS), VIRTIO_NET_OK);
	for (unsigned i = 0; i < PAIRS; i++)
		give(f, i, 1);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, 2);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
	for (unsigned i = 0; i < PAIRS; i++)
		send(wires[i].peer, f->frame, 64, 0);
	fake_run_loop(&f->d);
	for (unsigned i = 0; i < PAIRS; i++)
		assert_int_equal(received(f, i), i != 1);
	fake_kick(&f->d, 2);
	assert_int_equal(use_pairs(f, 1), VIRTIO_NET_OK);
	assert_int_equal(use_pairs(f, PAIRS), VIRTIO_NET_OK);
	assert_false(received(f, 1));
	assert_false(fake_needs_reset(&f->d));
}

/* 5.1.2: the control queue is then the third. */
static void
a_driver_without_mq_has_its_control_queue_after_one_pair(void **state)
{
	struct fixture *f = *state;
	static const uint8_t on = 1, two[2] = { 2 };

	assert_true(fake_negotiate(&f->d, CTRL));
	for (unsigned i = 0; i < 3; i++)
		fake_setup_queue(&f->d, i, 8);
	fake_driver_ok(&f->d);
	assert_int_equal(command_on(f, 2, VIRTIO_NET_CTRL_RX,
				    VIRTIO_NET_CTRL_RX_PROMISC, &on, 1),
			 VIRTIO_NET_OK);
	assert_int_equal(command_on(f, 2, VIRTIO_NET_CTRL_MQ, 0, two, 2),
			 VIRTIO_NET_ERR);
	assert_false(wires[1].active);
}

static void a_queue_is_none_of_control_if_that_was_not_agreed(void **state)
{
	struct fixture *f = *state;
	static const uint8_t on = 1;

	fake_start(&f->d, 0, 8);
	assert_int_equal(command_on(f, 2, VIRTIO_NET_CTRL_RX,
				    VIRTIO_NET_CTRL_RX_PROMISC, &on, 1),
			 -1);
	for (unsigned i = 0; i < f->dev->queue_count; i++)
		fake_kick(&f->d, i);
	assert_false(fake_needs_reset(&f->d));
}

static void receive_modes_and_addresses_are_accepted(void **state)
{
	struct fixture *f = *state;
	static const uint8_t off = 0, on = 1;
	static const uint8_t table[4 + 2 * 6 + 4] = { 2 };

	start(f);
	assert_int_equal(command(f, VIRTIO_NET_CTRL_RX,
				 VIRTIO_NET_CTRL_RX_PROMISC, &on, 1),
			 VIRTIO_NET_OK);
	assert_int_equal(command(f, VIRTIO_NET_CTRL_RX,
				 VIRTIO_NET_CTRL_RX_ALLMULTI, &off, 1),
			 VIRTIO_NET_OK);
	assert_int_equal(command(f, VIRTIO_NET_CTRL_MAC,
				 VIRTIO_NET_CTRL_MAC_TABLE_SET, table,
				 sizeof(table)),
			 VIRTIO_NET_OK);
}

static void offloads_are_switched(void **state)
{
	struct fixture *f = *state;
	uint64_t all = TSO, some = 1ULL << VIRTIO_NET_F_GUEST_CSUM;
	uint64_t alone = 1ULL << VIRTIO_NET_F_GUEST_TSO4;
	uint64_t other = 1ULL << VIRTIO_NET_F_GUEST_TSO6 | some;

	start(f);
	assert_int_equal(wires[0].offloads, all);
	assert_int_equal(command(f, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
				 VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, &some, 8),
			 VIRTIO_NET_OK);
	assert_int_equal(wires[0].offloads, some);
	/* not negotiated */
	assert_int_equal(command(f, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
				 VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, &other, 8),
			 VIRTIO_NET_ERR);
	assert_int_equal(wires[0].offloads, some);
	/* means none, without checksums */
	assert_int_equal(command(f, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
				 VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, &alone, 8),
			 VIRTIO_NET_OK);
	assert_int_equal(wires[0].offloads, 0);
	wires[0].refuses = true;
	assert_int_equal(command(f, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
				 VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, &all, 8),
			 VIRTIO_NET_ERR);
	wires[0].refuses = false;
	start(f);
	assert_int_equal(wires[0].offloads, all);
}

static void commands_that_are_none_are_answered_with_an_error(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint8_t class, code;
		uint32_t size;
		uint8_t data[16];
	} bad[] = {
		{ VIRTIO_NET_CTRL_RX, 0, 0, { 0 } },
		{ VIRTIO_NET_CTRL_RX, 0, 1, { 2 } },
		{ VIRTIO_NET_CTRL_RX, 0, 2, { 1, 1 } },
		{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLUNI, 1, { 1 } },
		{ VIRTIO_NET_CTRL_RX, 0xff, 1, { 1 } },
		{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 6, { 2 } },
		{ VIRTIO_NET_CTRL_MAC, 0, 3, { 0 } },
		{ VIRTIO_NET_CTRL_MAC, 0, 4, { 0 } },
		{ VIRTIO_NET_CTRL_MAC, 0, 9, { 0 } },
		{ VIRTIO_NET_CTRL_MAC, 0, 13, { 1 } },
		{ VIRTIO_NET_CTRL_MAC, 0, 14, { 2 } },
		{ VIRTIO_NET_CTRL_MAC, 0, 14, { 0xff, 0xff, 0xff, 0xff } },
		{ VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 2, { 1 } },
		{ VIRTIO_NET_CTRL_ANNOUNCE, 0, 0, { 0 } },
		{ VIRTIO_NET_CTRL_MQ, 0, 1, { 1 } },
		{ VIRTIO_NET_CTRL_MQ, 0, 3, { 1 } },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG, 2, { 1 } },
		{ VIRTIO_NET_CTRL_GUEST_OFFLOADS, 1, 8, { 0 } },
		{ VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, 4, { 0 } },
		{ 6, 0, 0, { 0 } },
		{ 0xff, 0xff, 16, { 0 } },
	};

	start(f);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(command(f, bad[i].class, bad[i].code,
					 bad[i].data, bad[i].size),
				 VIRTIO_NET_ERR);
	assert_false(fake_needs_reset(&f->d));
	assert_false(wires[1].active);
}

static void commands_may_lie_in_memory_as_they_like(void **state)
{
	struct fixture *f = *state;
	uint64_t at = fake_alloc(&f->d, 16, 1);
	struct fake_buffer bytes[] = {
		{ at, 1 }, { at + 2, 1 }, { at + 4, 1 }, { at + 6, 1 }
	};
	struct fake_buffer one = { at + 8, 4 };
	struct fake_buffer half = { at, 1 };
	uint8_t *ram = fake_ptr(&f->d, at);

	start(f);
	ram[0] = ram[8] = VIRTIO_NET_CTRL_MQ;
	ram[4] = 2;
	ram[10] = 3;
	assert_int_equal(answer_of(f, CONTROL, bytes, 4), VIRTIO_NET_OK);
	assert_true(wires[1].active);
	assert_false(wires[2].active);
	assert_int_equal(answer_of(f, CONTROL, &one, 1), VIRTIO_NET_OK);
	assert_true(wires[2].active);
	assert_int_equal(answer_of(f, CONTROL, &half, 1), VIRTIO_NET_ERR);
	assert_int_equal(answer_of(f, CONTROL, &half, 0), VIRTIO_NET_ERR);
}

static void a_command_without_room_for_the_answer_needs_a_reset(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = { fake_alloc(&f->d, 4, 1), 4 };

	start(f);
	fake_add(&f->d, CONTROL, &b, 1, 0);
	fake_kick(&f->d, CONTROL);
	assert_true(fake_needs_reset(&f->d));
	start(f);
	assert_int_equal(use_pairs(f, 2), VIRTIO_NET_OK);
}

static void a_turn_of_commands_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = { fake_alloc(&f->d, 1, 1), 1 };

	start(f);
	for (int i = 0; i < 20; i++)
		fake_add(&f->d, CONTROL, &b, 0, 1);
	fake_kick(&f->d, CONTROL);
	assert_int_equal(fake_used_idx(&f->d, CONTROL), 8);
	fake_run_loop(&f->d);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, CONTROL), 20);
}

static void one_wire_that_is_gone_takes_the_link_down(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = { FAKE_RAM_BASE, 100 };

	start(f);
	assert_int_equal(use_pairs(f, PAIRS), VIRTIO_NET_OK);
	wires[2].tap.backend.gone = true;
	give(f, 2, 1);
	assert_int_equal(fake_config(&f->d, 6, 2), 0);
	fake_add(&f->d, 1, &b, 1, 0);
	fake_kick(&f->d, 1);
	assert_int_equal(recv(wires[0].peer, f->frame, 100, 0), -1);
}

/* --- limits --- */

/* Until the device has used so many. */
static void run_until_used(struct fixture *f, unsigned queue, uint16_t count)
{
	for (int i = 0; i < 5000 && fake_used_idx(&f->d, queue) < count; i++) {
		usleep(1000);
		fake_run_loop(&f->d);
	}
	assert_in_range(fake_used_idx(&f->d, queue), count, UINT16_MAX);
}

static void a_pair_that_always_sends_leaves_the_others_their_part(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = { FAKE_RAM_BASE, 64 };

	start(f);
	assert_int_equal(use_pairs(f, 2), VIRTIO_NET_OK);
	for (int i = 0; i < 60; i++)
		fake_add(&f->d, i < 30 ? 1 : 3, &b, 1, 0);
	fake_kick(&f->d, 1);
	fake_kick(&f->d, 3);
	run_until_used(f, 3, 5);
	assert_in_range(fake_used_idx(&f->d, 1), 1, 29);
}

static void a_pair_that_always_receives_leaves_the_others_theirs(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_int_equal(use_pairs(f, 2), VIRTIO_NET_OK);
	for (unsigned i = 0; i < 2; i++) {
		give(f, i, 20);
		for (int j = 0; j < 8; j++)
			assert_int_equal(send(wires[i].peer, f->frame, 64, 0),
					 64);
	}
	fake_run_loop(&f->d);
	run_until_used(f, 2, 3);
	assert_in_range(fake_used_idx(&f->d, 0), 1, 7);
}

/* Its control queue is where another driver's next receive queue is. */
static void the_end_of_a_limit_leaves_the_control_queue_alone(void **state)
{
	struct fixture *f = *state;
	static const uint8_t on[] = { VIRTIO_NET_CTRL_RX, 0, 1 };
	struct fake_buffer command[] = {
		{ fake_alloc(&f->d, sizeof(on), 1), sizeof(on) },
		{ fake_alloc(&f->d, 1, 1), 1 },
	};

	assert_true(fake_negotiate(&f->d, CTRL));
	for (unsigned i = 0; i < 3; i++)
		fake_setup_queue(&f->d, i, 16);
	fake_driver_ok(&f->d);
	give(f, 0, 5);
	for (int i = 0; i < 4; i++)
		send(wires[0].peer, f->frame, 64, 0);
	fake_run_loop(&f->d);
	assert_in_range(fake_used_idx(&f->d, 0), 1, 3);
	/* no kick has come for it yet */
	memcpy(fake_ptr(&f->d, command[0].gpa), on, sizeof(on));
	fake_add(&f->d, 2, command, 1, 1);
	run_until_used(f, 0, 4);
	assert_false(fake_needs_reset(&f->d));
	fake_kick(&f->d, 2);
	assert_int_equal(fake_used_idx(&f->d, 2), 1);
}

int main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup_pairs, teardown_pairs)
#define LIMITED(name) \
	cmocka_unit_test_setup_teardown(name, setup_limited, teardown_pairs)
	const struct CMUnitTest tests[] = {
		TEST(the_config_tells_of_all_pairs),
		TEST(one_pair_is_used_until_the_driver_asks),
		TEST(each_pair_has_its_own_wire),
		TEST(a_pair_that_is_given_up_loses_its_frames),
		TEST(a_blocked_pair_that_is_given_up_gives_buffers_back),
		TEST(numbers_of_pairs_that_there_are_not_are_refused),
		TEST(pairs_that_cannot_be_had_change_nothing),
		TEST(a_reset_goes_back_to_one_pair),
		TEST(a_stopped_queue_leaves_the_others_alone),
		TEST(a_driver_without_mq_has_its_control_queue_after_one_pair),
		TEST(a_queue_is_none_of_control_if_that_was_not_agreed),
		TEST(receive_modes_and_addresses_are_accepted),
		TEST(offloads_are_switched),
		TEST(commands_that_are_none_are_answered_with_an_error),
		TEST(commands_may_lie_in_memory_as_they_like),
		TEST(a_command_without_room_for_the_answer_needs_a_reset),
		TEST(a_turn_of_commands_is_bounded),
		TEST(one_wire_that_is_gone_takes_the_link_down),
		LIMITED(a_pair_that_always_sends_leaves_the_others_their_part),
		LIMITED(a_pair_that_always_receives_leaves_the_others_theirs),
		LIMITED(the_end_of_a_limit_leaves_the_control_queue_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
