/* A connection of the socket device: half-close, end and reset, from either
 * side.
 */
#include "tests/unit/devices/vsock/vsock_fixture.h"

static bool socket_writable(int fd)
{
	return send(fd, "x", 1, MSG_NOSIGNAL) == 1;
}

static void the_guests_end_of_data_reaches_the_host(void **state)
{
	struct fixture *f = *state;
	bool end;

	open_connection(f);
	receive_data(f, 100);
	receive_shutdown(f, SEND);
	assert_int_equal(host_reads(f, f->payload, 1000, &end), 100);
	assert_true(end);
	/* the other direction goes on */
	host_sends(f, 50);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 50);
	assert_int_equal(f->c.state, VSOCK_OPEN);
	/* that bit does not go away */
	receive_shutdown(f, 0);
	assert_int_equal(f->c.guest_done, SEND);
	receive_data(f, 1);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
}

static void the_end_of_data_comes_after_what_waits(void **state)
{
	static uint8_t got[1 << 20];
	struct fixture *f = *state;
	size_t total = 0;
	uint32_t sent;
	bool end = false;

	open_connection(f);
	sent = fill_socket(f, 50000);
	receive_shutdown(f, SEND);
	while (!end)
		total += host_reads(f, got + total, 20000, &end);
	assert_int_equal(total, sent);
	assert_int_equal(f->c.state, VSOCK_OPEN);
}

static void a_guest_that_does_not_receive_lets_the_host_know(void **state)
{
	struct fixture *f = *state;

	open_connection(f);
	host_sends(f, 10);
	receive_shutdown(f, RCV);
	assert_int_equal(next(f), 0);
	assert_false(socket_writable(f->peer));
	/* the guest still sends */
	receive_data(f, 10);
	assert_int_equal(recv(f->peer, f->payload, 100, 0), 10);
	/* and learns that the host is gone */
	close(f->peer);
	f->peer = -1;
	event_loop_run(f->loop);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(f->packet.flags, RCV | SEND);
}

static void a_guest_that_is_done_gets_a_reset(void **state)
{
	struct fixture *f = *state;
	bool end;

	open_connection(f);
	receive_data(f, 10);
	host_sends(f, 10); /* too late for it */
	receive_shutdown(f, RCV | SEND);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(f->c.state, VSOCK_ENDED);
	assert_int_equal(host_reads(f, f->payload, 100, &end), 10);
	assert_true(end);

	/* in two steps */
	restart(f, VSOCK_OPEN);
	open_connection(f);
	receive_shutdown(f, SEND);
	assert_int_equal(next(f), 0);
	receive_shutdown(f, RCV);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
}

static void a_guest_that_is_done_waits_for_what_it_sent(void **state)
{
	static uint8_t got[1 << 20];
	struct fixture *f = *state;
	size_t total = 0;
	uint32_t sent;
	bool end = false;

	open_connection(f);
	sent = fill_socket(f, 100);
	receive_shutdown(f, RCV | SEND);
	assert_int_equal(next(f), 0);
	while (!end) {
		assert_int_not_equal(f->c.state, VSOCK_ENDED);
		total += host_reads(f, got + total, 30000, &end);
	}
	assert_int_equal(total, sent);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
}

/* Linux sends RST when its own patience ends. */
static void what_a_guest_closed_in_order_drains_after_its_reset(void **state)
{
	static uint8_t got[1 << 20];
	struct fixture *f = *state;
	size_t total = 0;
	uint32_t sent;
	bool end = false;

	open_connection(f);
	sent = fill_socket(f, VSOCK_BUFFER_SIZE);
	receive_shutdown(f, RCV | SEND);
	receive_op(f, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(f->c.state, VSOCK_DRAINING);
	assert_int_equal(next(f), 0);
	vsock_connection_forget_guest(&f->c);
	assert_int_equal(f->c.state, VSOCK_DRAINING);
	while (!end)
		total += host_reads(f, got + total, 30000, &end);
	assert_int_equal(total, sent);
	assert_int_equal(f->c.state, VSOCK_ENDED);
	assert_int_equal(next(f), 0);
}

static void a_draining_connection_ends_with_the_hosts_program(void **state)
{
	struct fixture *f = *state;

	open_connection(f);
	fill_socket(f, 1000);
	receive_shutdown(f, SEND);
	receive_op(f, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(f->c.state, VSOCK_DRAINING);
	close(f->peer);
	f->peer = -1;
	event_loop_run(f->loop);
	assert_int_equal(f->c.state, VSOCK_ENDED);
}

static void a_reset_of_the_guests_ends_all_at_once(void **state)
{
	struct fixture *f = *state;
	bool end;

	open_connection(f);
	receive_data(f, 10);
	receive_op(f, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(f->c.state, VSOCK_ENDED);
	assert_int_equal(next(f), 0);
	assert_int_equal(host_reads(f, f->payload, 100, &end), 10);
	assert_true(end);
	/* also with something that waits */
	restart(f, VSOCK_OPEN);
	open_connection(f);
	fill_socket(f, 10);
	receive_op(f, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(f->c.state, VSOCK_ENDED);
	assert_null(f->c.waiting.data);
}

static void the_hosts_end_of_data_reaches_the_guest(void **state)
{
	struct fixture *f = *state;
	bool end;

	open_connection(f);
	host_sends(f, 10);
	shutdown(f->peer, SHUT_WR);
	event_loop_run(f->loop);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 10);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(f->packet.flags, SEND);
	assert_int_equal(next(f), 0);
	assert_false(vsock_connection_is_waiting(&f->c));
	receive_data(f, 20);
	assert_int_equal(host_reads(f, f->payload, 20, &end), 20);
	/* and the rest of it */
	close(f->peer);
	f->peer = -1;
	event_loop_run(f->loop);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(f->packet.flags, SEND | RCV);
	assert_true(vsock_connection_is_waiting(&f->c));
	receive_op(f, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(f->c.state, VSOCK_ENDED);
}

static void a_host_that_is_done_is_told_after_its_bytes(void **state)
{
	struct fixture *f = *state;

	open_connection(f);
	receive_credit(f, 100, 0);
	host_sends(f, 150);
	close(f->peer);
	f->peer = -1;
	event_loop_run(f->loop);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 100);
	/* the guest has no credit for the rest, but need not send any more */
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(f->packet.flags, RCV);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	receive_data(f, 10); /* it does not know yet */
	assert_int_equal(f->c.forwarded, 10);
	receive_credit(f, 100, 100);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 50);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(f->packet.flags, SEND | RCV);
	assert_int_equal(next(f), 0);
	/* a guest that does not answer is told again, and for good */
	assert_true(vsock_connection_is_waiting(&f->c));
	vsock_connection_time_out(&f->c);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(f->c.state, VSOCK_ENDED);
}

/* The host's program has closed while the guest's bytes waited for it. */
static void bytes_for_nobody_are_dropped(void **state)
{
	struct fixture *f = *state;
	uint32_t sent;

	open_connection(f);
	sent = fill_socket(f, 5000);
	close(f->peer);
	f->peer = -1;
	event_loop_run(f->loop);
	assert_null(f->c.waiting.data);
	assert_int_equal(f->c.forwarded, sent);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST); /* unread data */
}

static void a_host_that_does_not_receive_is_told_to_the_guest(void **state)
{
	struct fixture *f = *state;

	open_connection(f);
	shutdown(f->peer, SHUT_RD);
	event_loop_run(f->loop);
	receive_data(f, 10);
	assert_int_equal(f->c.forwarded, 10);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(f->packet.flags, RCV);
	/* it may still send */
	host_sends(f, 10);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 10);
}

static void a_host_that_closes_without_reading_resets(void **state)
{
	struct fixture *f = *state;

	open_connection(f);
	receive_data(f, 10);
	host_sends(f, 20);
	close(f->peer);
	f->peer = -1;
	event_loop_run(f->loop);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 20);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(f->c.state, VSOCK_ENDED);
}

static void both_may_close_at_the_same_time(void **state)
{
	struct fixture *f = *state;

	open_connection(f);
	close(f->peer);
	f->peer = -1;
	event_loop_run(f->loop);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_SHUTDOWN);
	receive_shutdown(f, RCV | SEND);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(f->c.state, VSOCK_ENDED);
}

static void an_answer_finds_the_hosts_program_gone(void **state)
{
	struct fixture *f = *state;

	restart(f, VSOCK_REQUESTED);
	f->c.opening = VIRTIO_VSOCK_OP_REQUEST;
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_REQUEST);
	host_sends(f, 10);
	close(f->peer);
	f->peer = -1;
	event_loop_run(f->loop);
	receive_op(f, VIRTIO_VSOCK_OP_RESPONSE);
	/* what it sent before it went is delivered */
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 10);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(f->packet.flags, RCV | SEND);
}

/* An event of an earlier socket of the same source. */
static void a_hang_up_that_is_not_ours_changes_nothing(void **state)
{
	struct fixture *f = *state;

	open_connection(f);
	vsock_connection_ready(&f->c, EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->c.state, VSOCK_OPEN);
	assert_int_equal(f->c.host_done, 0);
}

static void a_socket_that_is_not_watched_is_given_up(void **state)
{
	struct fixture *f = *state;

	open_connection(f);
	event_loop_remove(f->loop, &f->socket); /* so that modify fails */
	while (f->c.state == VSOCK_OPEN)
		receive_data(f, 4096);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	assert_null(f->c.waiting.data);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_guests_end_of_data_reaches_the_host),
		TEST(the_end_of_data_comes_after_what_waits),
		TEST(a_guest_that_does_not_receive_lets_the_host_know),
		TEST(a_guest_that_is_done_gets_a_reset),
		TEST(a_guest_that_is_done_waits_for_what_it_sent),
		TEST(what_a_guest_closed_in_order_drains_after_its_reset),
		TEST(a_draining_connection_ends_with_the_hosts_program),
		TEST(a_reset_of_the_guests_ends_all_at_once),
		TEST(the_hosts_end_of_data_reaches_the_guest),
		TEST(a_host_that_is_done_is_told_after_its_bytes),
		TEST(bytes_for_nobody_are_dropped),
		TEST(a_host_that_does_not_receive_is_told_to_the_guest),
		TEST(a_host_that_closes_without_reading_resets),
		TEST(both_may_close_at_the_same_time),
		TEST(an_answer_finds_the_hosts_program_gone),
		TEST(a_hang_up_that_is_not_ours_changes_nothing),
		TEST(a_socket_that_is_not_watched_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
