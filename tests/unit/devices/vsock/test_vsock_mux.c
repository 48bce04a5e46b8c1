#include "tests/unit/devices/vsock/vsock_mux_fixture.h"

static void the_host_opens_a_connection(void **state)
{
	struct fixture *f = *state;
	int fd = open_from_host(f, 52);

	assert_int_equal(f->wakes > 0, 1);
	assert_int_equal(f->packet.src_cid, VSOCK_HOST_CID);
	assert_in_range(f->packet.src_port, VSOCK_PORT_FIRST, VSOCK_PORT_LAST);
	assert_int_equal(send(fd, "hello", 5, 0), 5);
	run(f);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 5);
	assert_int_equal(f->packet.src_cid, VSOCK_HOST_CID);
	assert_memory_equal(f->payload, "hello", 5);
	close(fd);
}

static void bytes_behind_the_line_are_the_guests(void **state)
{
	struct fixture *f = *state;
	int fd = host_connects(f, "CONNECT 1\nhello");

	assert_int_equal(next(f), VIRTIO_VSOCK_OP_REQUEST);
	receive_op(f, VIRTIO_VSOCK_OP_RESPONSE, 1, f->packet.src_port);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_memory_equal(f->payload, "hello", 5);
	close(fd);
}

static void a_refusal_of_the_guests_ends_the_hosts_socket(void **state)
{
	struct fixture *f = *state;
	int fd = host_connects(f, "CONNECT 1\n");

	assert_int_equal(next(f), VIRTIO_VSOCK_OP_REQUEST);
	assert_false(has_ended(fd));
	receive_op(f, VIRTIO_VSOCK_OP_RST, 1, f->packet.src_port);
	assert_true(has_ended(fd));
	close(fd);
	assert_int_equal(next(f), 0);
}

static void a_bad_line_ends_the_hosts_socket(void **state)
{
	struct fixture *f = *state;
	int fd = host_connects(f, "HELLO 1\n");

	assert_true(has_ended(fd));
	close(fd);
	fd = host_connects(f, "CONNECT 123456789012345678901234567890");
	assert_true(has_ended(fd));
	close(fd);
	close(host_connects(f, "CONN"));
	run(f);
	assert_int_equal(next(f), 0);
}

static void the_guest_opens_a_connection(void **state)
{
	struct fixture *f = *state;
	int listener = host_listens(f, 7), fd;
	struct vsock_packet packet;
	char text[8];

	receive_op(f, VIRTIO_VSOCK_OP_REQUEST, 99, 7);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(f->packet.src_cid, VSOCK_HOST_CID);
	assert_int_equal(f->packet.src_port, 7);
	assert_int_equal(f->packet.dst_port, 99);
	assert_int_equal(f->packet.buf_alloc, VSOCK_BUFFER_SIZE);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	packet = from_guest(VIRTIO_VSOCK_OP_RW, 99, 7);
	packet.len = 3;
	memcpy(f->data, "abc", 3);
	receive(f, &packet);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 3);
	assert_memory_equal(text, "abc", 3);
	/* the same port once more is a breach of the rules */
	receive_op(f, VIRTIO_VSOCK_OP_REQUEST, 99, 7);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	assert_true(has_ended(fd));
	close(fd);
	host_stops(f, listener, 7);
}

static void nobody_there_is_a_reset_for_the_guest(void **state)
{
	struct fixture *f = *state;
	int listener = host_listens(f, 7);

	receive_op(f, VIRTIO_VSOCK_OP_REQUEST, 99, 8);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(f->packet.src_port, 8);
	assert_int_equal(f->packet.dst_port, 99);
	/* a stale socket */
	close(listener);
	receive_op(f, VIRTIO_VSOCK_OP_REQUEST, 99, 7);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	host_stops(f, -1, 7);
	assert_int_equal(next(f), 0);
}

static void packets_for_no_connection_are_reset(void **state)
{
	static const uint16_t ops[] = {
		VIRTIO_VSOCK_OP_INVALID,
		VIRTIO_VSOCK_OP_RESPONSE,
		VIRTIO_VSOCK_OP_SHUTDOWN,
		VIRTIO_VSOCK_OP_RW,
		VIRTIO_VSOCK_OP_CREDIT_UPDATE,
		VIRTIO_VSOCK_OP_CREDIT_REQUEST,
		8,
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		receive_op(f, ops[i], 10, 20);
		assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
		assert_int_equal(f->packet.src_port, 20);
		assert_int_equal(f->packet.dst_port, 10);
	}
	receive_op(f, VIRTIO_VSOCK_OP_RST, 10, 20);
	assert_int_equal(next(f), 0);
}

/* 5.10.6.4: and the answer has that type, too. */
static void other_types_are_reset(void **state)
{
	static const uint16_t types[] = { 0, VIRTIO_VSOCK_TYPE_SEQPACKET, 3,
					  0xffff };
	struct fixture *f = *state;
	int listener = host_listens(f, 7);
	struct vsock_packet packet = from_guest(VIRTIO_VSOCK_OP_REQUEST, 9, 7);

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		packet.type = types[i];
		receive(f, &packet);
		assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
		assert_int_equal(f->packet.type, types[i]);
	}
	/* one of an open connection's does not touch that */
	receive_op(f, VIRTIO_VSOCK_OP_REQUEST, 9, 7);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RESPONSE);
	packet.op = VIRTIO_VSOCK_OP_RW;
	receive(f, &packet);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(f->packet.type, 0xffff);
	receive_op(f, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 9, 7);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	host_stops(f, listener, 7);
}

static void only_the_guest_and_the_host_have_a_say(void **state)
{
	struct fixture *f = *state;
	int listener = host_listens(f, 7);
	struct vsock_packet packet = from_guest(VIRTIO_VSOCK_OP_REQUEST, 9, 7);

	/* who sends as another one is not answered */
	packet.src_cid = CID + 1;
	receive(f, &packet);
	packet.src_cid = CID | 1ULL << 32;
	receive(f, &packet);
	packet.src_cid = VSOCK_HOST_CID;
	receive(f, &packet);
	packet.src_cid = CID;
	packet.dst_cid = VSOCK_HOST_CID | 1ULL << 32;
	receive(f, &packet);
	assert_int_equal(next(f), 0);
	/* there are no others to talk to */
	packet.dst_cid = CID + 1;
	receive(f, &packet);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(f->packet.src_cid, CID + 1);
	assert_int_equal(f->packet.src_port, 7);
	packet.dst_cid = CID;
	receive(f, &packet);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(accept(listener, NULL, NULL), -1);
	host_stops(f, listener, 7);
}

/* 5.10.6.1 */
static void answers_that_nobody_takes_hold_the_guest_up(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < VSOCK_REPLIES_MAX; i++)
		receive_op(f, VIRTIO_VSOCK_OP_RW, i, 1);
	assert_false(vsock_mux_may_receive(f->mux));
	for (unsigned round = 0; round < VSOCK_REPLIES_MAX + 10; round++) {
		assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
		assert_int_equal(f->packet.dst_port, round);
		receive_op(f, VIRTIO_VSOCK_OP_RW, VSOCK_REPLIES_MAX + round, 1);
	}
	vsock_mux_stop(f->mux);
	assert_true(vsock_mux_may_receive(f->mux));
	assert_int_equal(next(f), 0);
}

static void connections_take_turns(void **state)
{
	struct fixture *f = *state;
	int busy = open_from_host(f, 1), other[3];
	unsigned seen = 0, packets = 0;

	for (uint32_t i = 0; i < 3; i++)
		other[i] = open_from_host(f, 2 + i);
	assert_int_equal(send(busy, f->data, 60000, 0), 60000);
	run(f);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(send(other[i], "x", 1, 0), 1);
	run(f);
	while (seen != 7) {
		assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
		if (f->packet.dst_port > 1)
			seen |= 1u << (f->packet.dst_port - 2);
		packets++;
	}
	assert_true(packets <= 4);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.dst_port, 1);
	close(busy);
	for (int i = 0; i < 3; i++)
		close(other[i]);
}

/* A socket that has something wakes the loop for that once. Each wake tells the
 * device, too, as there is a packet that it does not fetch. */
static void what_the_guest_does_not_take_keeps_nobody_busy(void **state)
{
	struct fixture *f = *state;
	int fds[2];

	for (unsigned credit = 0; credit < 2; credit++) {
		int fd = fds[credit] = open_from_host(f, credit);
		struct vsock_packet packet =
			from_guest(VIRTIO_VSOCK_OP_CREDIT_UPDATE, credit,
				   f->packet.src_port);
		unsigned wakes;

		assert_int_equal(next(f), 0);
		packet.buf_alloc = credit << 20;
		receive(f, &packet);
		wakes = f->wakes;
		assert_int_equal(send(fd, "hello", 5, 0), 5);
		for (int i = 0; i < 5; i++)
			run(f);
		assert_int_equal(f->wakes, wakes + 1);
		assert_int_equal(next(f),
				 credit ? VIRTIO_VSOCK_OP_RW
					: VIRTIO_VSOCK_OP_CREDIT_REQUEST);
		assert_int_equal(next(f), 0);
	}
	close(fds[0]);
	close(fds[1]);
}

static void hundreds_of_connections_are_told_apart(void **state)
{
	static uint32_t ports[500];
	struct fixture *f = *state;
	static int fds[500];

	if (!allow_descriptors(2000))
		skip();
	for (unsigned i = 0; i < 500; i++) {
		fds[i] = open_from_host(f, i / 2);
		ports[i] = f->packet.src_port;
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(ports[i], ports[j]);
	}
	for (unsigned i = 500; i-- > 0;) {
		struct vsock_packet packet =
			from_guest(VIRTIO_VSOCK_OP_RW, i / 2, ports[i]);
		unsigned got;

		packet.len = sizeof(i);
		memcpy(f->data, &i, sizeof(i));
		receive(f, &packet);
		assert_int_equal(recv(fds[i], &got, sizeof(got), 0),
				 sizeof(got));
		assert_int_equal(got, i);
		if (i % 3 == 0)
			receive_op(f, VIRTIO_VSOCK_OP_RST, i / 2, ports[i]);
	}
	for (unsigned i = 0; i < 500; i++) {
		assert_int_equal(has_ended(fds[i]), i % 3 == 0);
		close(fds[i]);
	}
}

static void there_is_a_most_of_connections(void **state)
{
	static int fds[VSOCK_CONNECTIONS_MAX];
	struct fixture *f = *state;
	int listener = host_listens(f, 7), fd;

	/* ours and the host's ends */
	if (!allow_descriptors(2 * VSOCK_CONNECTIONS_MAX + 100))
		skip();
	for (uint32_t i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
		receive_op(f, VIRTIO_VSOCK_OP_REQUEST, i, 7);
		assert_int_equal(next(f), VIRTIO_VSOCK_OP_RESPONSE);
		fds[i] = accept(listener, NULL, NULL);
		assert_true(fds[i] >= 0);
	}
	receive_op(f, VIRTIO_VSOCK_OP_REQUEST, VSOCK_CONNECTIONS_MAX, 7);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(accept(listener, NULL, NULL), -1);
	fd = host_connects(f, "CONNECT 1\n");
	assert_true(has_ended(fd));
	close(fd);
	/* each end makes room for another one */
	receive_op(f, VIRTIO_VSOCK_OP_RST, 500, 7);
	receive_op(f, VIRTIO_VSOCK_OP_REQUEST, VSOCK_CONNECTIONS_MAX, 7);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RESPONSE);
	vsock_mux_stop(f->mux);
	for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
		assert_true(has_ended(fds[i]));
		close(fds[i]);
	}
	host_stops(f, listener, 7);
}

static void more_than_so_many_silent_ones_are_not_accepted(void **state)
{
	struct fixture *f = *state;
	int fds[VSOCK_HALF_OPEN_MAX], late;

	if (!allow_descriptors(1000))
		skip();
	for (int i = 0; i < VSOCK_HALF_OPEN_MAX; i++)
		fds[i] = host_connects(f, i == 0 ? "CONNECT 1\n" : "");
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_REQUEST);
	late = host_connects(f, "CONNECT 2\n");
	assert_int_equal(next(f), 0);
	/* the guest answers one of them */
	receive_op(f, VIRTIO_VSOCK_OP_RESPONSE, 1, VSOCK_PORT_FIRST);
	run(f);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(f->packet.dst_port, 2);
	for (int i = 0; i < VSOCK_HALF_OPEN_MAX; i++)
		close(fds[i]);
	close(late);
}

static void the_silent_are_not_waited_for_forever(void **state)
{
	struct fixture *f = *state;
	int fds[VSOCK_HALF_OPEN_MAX + 10];

	if (!allow_descriptors(1000))
		skip();
	for (int i = 0; i < VSOCK_HALF_OPEN_MAX + 10; i++)
		fds[i] = host_connects(f, i % 2 ? "CONN" : "");
	for (int i = 0; i < VSOCK_HALF_OPEN_MAX + 10; i++) {
		await_end(f, fds[i]);
		close(fds[i]);
	}
	assert_int_equal(next(f), 0);
}

static void a_guest_that_never_answers_is_not_waited_for(void **state)
{
	struct fixture *f = *state;
	int fd = host_connects(f, "CONNECT 1\n");

	/* it may be over before the guest has heard of it */
	while (next(f) != VIRTIO_VSOCK_OP_REQUEST) {
		close(fd);
		fd = host_connects(f, "CONNECT 1\n");
	}
	await_end(f, fd);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(next(f), 0);
	close(fd);
}

/* What is closed by the host has to be acknowledged by the guest. */
static void an_end_that_the_guest_ignores_is_forced(void **state)
{
	struct fixture *f = *state;
	int listener = host_listens(f, 7), fd;

	receive_op(f, VIRTIO_VSOCK_OP_REQUEST, 99, 7);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RESPONSE);
	fd = accept(listener, NULL, NULL);
	close(fd);
	run(f);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_SHUTDOWN);
	for (int i = 0; i < 20000 && !vsock_mux_has_packet(f->mux); i++) {
		usleep(1000);
		run(f);
	}
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	host_stops(f, listener, 7);
}

static void without_descriptors_the_host_has_to_wait(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = address_of(f->path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct rlimit limit, low;

	assert_int_equal(
		connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(send(fd, "CONNECT 1\n", 10, 0), 10);
	getrlimit(RLIMIT_NOFILE, &limit);
	low = limit;
	low.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &low);
	run(f);
	/* and the guest is refused */
	receive_op(f, VIRTIO_VSOCK_OP_REQUEST, 99, 7);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < 20000 && !vsock_mux_has_packet(f->mux); i++) {
		usleep(1000);
		run(f);
	}
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_REQUEST);
	close(fd);
}

/* A connection of the guest's that it has closed, while some of what it sent
 * waits for the host. Returns the host's socket. */
static int open_draining(struct fixture *f, size_t *sent)
{
	int listener = host_listens(f, 7), fd;
	struct vsock_packet packet = from_guest(VIRTIO_VSOCK_OP_RW, 99, 7);

	receive_op(f, VIRTIO_VSOCK_OP_REQUEST, 99, 7);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	packet.len = 50000;
	for (*sent = 0; *sent < 300000; *sent += packet.len) {
		receive(f, &packet);
		next(f);
	}
	packet.op = VIRTIO_VSOCK_OP_SHUTDOWN;
	packet.flags = RCV | SEND;
	receive(f, &packet);
	host_stops(f, listener, 7);
	return fd;
}

static void a_stop_ends_all_but_what_was_closed_in_order(void **state)
{
	static uint8_t got[1 << 20];
	struct fixture *f = *state;
	int half = host_connects(f, "CONN"), open = open_from_host(f, 1);
	size_t sent, total = 0;
	int draining = open_draining(f, &sent);

	receive_op(f, VIRTIO_VSOCK_OP_RW, 5, 5); /* an answer is due */
	vsock_mux_stop(f->mux);
	vsock_mux_stop(f->mux);
	assert_int_equal(next(f), 0);
	assert_true(has_ended(half));
	assert_true(has_ended(open));
	while (!has_ended(draining)) {
		ssize_t len = recv(draining, got + total, 40000, 0);

		if (len > 0)
			total += (size_t)len;
		run(f);
	}
	assert_int_equal(total, sent);
	/* nobody is accepted, and packets are dropped */
	close(half);
	half = host_connects(f, "CONNECT 1\n");
	receive_op(f, VIRTIO_VSOCK_OP_REQUEST, 98, 7);
	assert_int_equal(next(f), 0);
	vsock_mux_start(f->mux);
	run(f);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_REQUEST);
	close(half);
	close(open);
	close(draining);
}

static void what_was_not_taken_by_the_end_is_dropped(void **state)
{
	struct fixture *f = *state;
	size_t sent;
	int fd = open_draining(f, &sent);

	vsock_mux_stop(f->mux);
	assert_false(has_ended(fd));
	close(fd); /* which nobody notices before the end */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define IMPATIENT(name) \
	cmocka_unit_test_setup_teardown(name, setup_impatient, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_host_opens_a_connection),
		TEST(bytes_behind_the_line_are_the_guests),
		TEST(a_refusal_of_the_guests_ends_the_hosts_socket),
		TEST(a_bad_line_ends_the_hosts_socket),
		TEST(the_guest_opens_a_connection),
		TEST(nobody_there_is_a_reset_for_the_guest),
		TEST(packets_for_no_connection_are_reset),
		TEST(other_types_are_reset),
		TEST(only_the_guest_and_the_host_have_a_say),
		TEST(answers_that_nobody_takes_hold_the_guest_up),
		TEST(connections_take_turns),
		TEST(what_the_guest_does_not_take_keeps_nobody_busy),
		TEST(hundreds_of_connections_are_told_apart),
		TEST(there_is_a_most_of_connections),
		TEST(more_than_so_many_silent_ones_are_not_accepted),
		IMPATIENT(the_silent_are_not_waited_for_forever),
		IMPATIENT(a_guest_that_never_answers_is_not_waited_for),
		IMPATIENT(an_end_that_the_guest_ignores_is_forced),
		TEST(without_descriptors_the_host_has_to_wait),
		TEST(a_stop_ends_all_but_what_was_closed_in_order),
		TEST(what_was_not_taken_by_the_end_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
