/* A network card with limits. The clock is the real one, so what passes at once
 * is bounded from both sides, and the rest just has to come.
 */
#include "tests/unit/devices/net/virtio_net_fixture.h"

#define FRAMES 10
#define LEN 1000
#define BURST 3

static const struct rate_limits frames = { .ops = { 20, BURST } };
static const struct rate_limits bytes = { .bytes = { 20000, 2500 } };

static int setup_limits(void **state, struct rate_limits rx,
			struct rate_limits tx)
{
	int ret;

	fixture_rx_limits = rx;
	fixture_tx_limits = tx;
	ret = setup(state);
	fixture_rx_limits = fixture_tx_limits = (struct rate_limits){ 0 };
	return ret;
}

static int setup_frames(void **state)
{
	return setup_limits(state, frames, frames);
}

static int setup_bytes(void **state)
{
	return setup_limits(state, bytes, bytes);
}

static int setup_receive(void **state)
{
	return setup_limits(state, frames, (struct rate_limits){ 0 });
}

static int setup_transmit(void **state)
{
	return setup_limits(state, (struct rate_limits){ 0 }, frames);
}

static unsigned count_received(struct fixture *f)
{
	unsigned count = 0;
	uint32_t len;

	while (got_rx(f, &len)) {
		assert_int_equal(len, LEN);
		count++;
	}
	return count;
}

static unsigned count_sent(struct fixture *f)
{
	unsigned count = 0;
	uint8_t frame[LEN + 1];

	while (recv(f->peer, frame, sizeof(frame), 0) == LEN)
		count++;
	return count;
}

/* Runs the loop until all have come. */
static void wait_for_all(struct fixture *f, unsigned count,
			 unsigned (*counted)(struct fixture *f))
{
	for (int i = 0; i < 5000 && count < FRAMES; i++) {
		usleep(1000);
		fake_run_loop(&f->d);
		count += counted(f);
	}
	assert_int_equal(count, FRAMES);
	assert_false(fake_needs_reset(&f->d));
}

static void fill_receive(struct fixture *f)
{
	for (int i = 0; i < FRAMES; i++) {
		give_rx(f, LEN);
		send_frame(f, LEN);
	}
	fake_kick(&f->d, VIRTIO_NET_RX);
	fake_run_loop(&f->d);
	fake_run_loop(&f->d);
}

static void fill_transmit(struct fixture *f)
{
	for (int i = 0; i < FRAMES; i++)
		give_tx(f, LEN);
	fake_kick(&f->d, VIRTIO_NET_TX);
	fake_run_loop(&f->d);
	fake_run_loop(&f->d);
}

static void frames_beyond_the_limit_come_later(void **state)
{
	struct fixture *f = *state;
	unsigned count;

	fake_start(&f->d, 0, 32);
	fill_receive(f);
	count = count_received(f);
	assert_in_range(count, BURST, FRAMES - 1);
	wait_for_all(f, count, count_received);
}

static void frames_beyond_the_limit_are_sent_later(void **state)
{
	struct fixture *f = *state;
	uint32_t head, len;
	unsigned count;

	fake_start(&f->d, 0, 32);
	fill_transmit(f);
	count = count_sent(f);
	assert_in_range(count, BURST, FRAMES - 1);
	wait_for_all(f, count, count_sent);
	for (int i = 0; i < FRAMES; i++)
		assert_true(fake_get_used(&f->d, VIRTIO_NET_TX, &head, &len));
}

/* No limit holds for the other direction. */
static void what_is_not_limited_passes(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 32);
	fill_transmit(f);
	assert_int_equal(count_sent(f), FRAMES);
}

static void what_is_not_limited_is_received(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 32);
	fill_receive(f);
	assert_int_equal(count_received(f), FRAMES);
}

/* A loop that ran for the descriptor's sake would never rest. */
static void nothing_is_looked_at_while_the_limit_holds(void **state)
{
	struct fixture *f = *state;
	unsigned before;

	fake_start(&f->d, 0, 32);
	fill_receive(f);
	before = count_received(f);
	for (int i = 0; i < 3; i++)
		fake_run_loop(&f->d);
	assert_in_range(before + count_received(f), BURST, FRAMES - 1);
}

/* The moment at which the limit ends may find a queue stopped, or started
 * anew. */
static void a_reset_while_limited_leaves_nothing_behind(void **state)
{
	struct fixture *f = *state;
	unsigned count;

	fake_start(&f->d, 0, 32);
	fill_receive(f);
	fill_transmit(f);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	usleep(200000);
	fake_run_loop(&f->d);
	assert_false(fake_needs_reset(&f->d));
	count_sent(f);
	fake_start(&f->d, 0, 32);
	fill_transmit(f);
	count = count_sent(f);
	wait_for_all(f, count, count_sent);
}

static void a_queue_that_stops_while_limited_stays_whole(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 32);
	fill_receive(f);
	fill_transmit(f);
	for (uint32_t i = 0; i < 2; i++) {
		fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, i);
		fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
	}
	usleep(200000);
	fake_run_loop(&f->d);
	assert_false(fake_needs_reset(&f->d));
}

int main(void)
{
#define TEST(name, how) cmocka_unit_test_setup_teardown(name, how, teardown)
	const struct CMUnitTest tests[] = {
		TEST(frames_beyond_the_limit_come_later, setup_frames),
		TEST(frames_beyond_the_limit_come_later, setup_bytes),
		TEST(frames_beyond_the_limit_are_sent_later, setup_frames),
		TEST(frames_beyond_the_limit_are_sent_later, setup_bytes),
		TEST(what_is_not_limited_passes, setup_receive),
		TEST(what_is_not_limited_is_received, setup_transmit),
		TEST(nothing_is_looked_at_while_the_limit_holds, setup_frames),
		TEST(a_reset_while_limited_leaves_nothing_behind, setup_frames),
		TEST(a_queue_that_stops_while_limited_stays_whole,
		     setup_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
