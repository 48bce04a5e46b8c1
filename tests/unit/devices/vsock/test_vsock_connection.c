/* A connection of the socket device: opening, data, credit. */
#include "tests/unit/devices/vsock/vsock_fixture.h"

static void the_hosts_request_is_answered_by_a_line(void **state)
{
	struct fixture *f = *state;
	uint8_t text[32];
	bool end;

	restart(f, VSOCK_REQUESTED);
	f->c.opening = VIRTIO_VSOCK_OP_REQUEST;
	assert_true(vsock_connection_is_waiting(&f->c));
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(next(f), 0);
	host_sends(f, 5); /* nothing that the guest gets before it answers */
	assert_int_equal(next(f), 0);
	receive_op(f, VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(f->c.state, VSOCK_OPEN);
	assert_false(vsock_connection_is_waiting(&f->c));
	assert_int_equal(host_reads(f, text, sizeof(text), &end), 8);
	assert_memory_equal(text, "OK 1000\n", 8);
	assert_false(end);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 5);
}

static void a_refused_request_ends_the_hosts_socket(void **state)
{
	struct fixture *f = *state;
	uint8_t text[32];
	bool end;

	restart(f, VSOCK_REQUESTED);
	f->c.opening = VIRTIO_VSOCK_OP_REQUEST;
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_REQUEST);
	receive_op(f, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(f->c.state, VSOCK_ENDED);
	assert_int_equal(host_reads(f, text, sizeof(text), &end), 0);
	assert_true(end);
	assert_int_equal(next(f), 0);
}

/* The guest's answer to what it was not asked, or not yet. */
static void answers_out_of_turn_are_reset(void **state)
{
	struct fixture *f = *state;

	restart(f, VSOCK_REQUESTED);
	f->c.opening = VIRTIO_VSOCK_OP_REQUEST;
	receive_op(f, VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(f->c.state, VSOCK_ENDED);

	restart(f, VSOCK_OPEN);
	receive_op(f, VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);

	static const uint16_t early[] = {
		VIRTIO_VSOCK_OP_RW,
		VIRTIO_VSOCK_OP_SHUTDOWN,
		VIRTIO_VSOCK_OP_REQUEST,
		VIRTIO_VSOCK_OP_CREDIT_UPDATE,
		VIRTIO_VSOCK_OP_CREDIT_REQUEST,
	};
	for (size_t i = 0; i < sizeof(early) / sizeof(early[0]); i++) {
		restart(f, VSOCK_REQUESTED);
		receive_op(f, early[i]);
		assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
		assert_int_equal(next(f), 0);
	}
}

static void a_reset_takes_the_place_of_an_answer(void **state)
{
	struct fixture *f = *state;

	f->c.opening = VIRTIO_VSOCK_OP_RESPONSE;
	receive_op(f, VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(next(f), 0);
	restart(f, VSOCK_OPEN);
	f->c.opening = VIRTIO_VSOCK_OP_RESPONSE;
	receive_op(f, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(next(f), 0);
}

static void operations_that_do_not_exist_are_reset(void **state)
{
	static const uint16_t ops[] = { VIRTIO_VSOCK_OP_INVALID,
					VIRTIO_VSOCK_OP_REQUEST, 8, 0xffff };
	struct fixture *f = *state;
	uint8_t text[8];
	bool end;

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		restart(f, VSOCK_OPEN);
		receive_op(f, ops[i]);
		assert_int_equal(f->c.state, VSOCK_RESET);
		host_reads(f, text, sizeof(text), &end);
		assert_true(end);
		/* what the guest sends before it knows is not answered */
		receive_data(f, 10);
		receive_op(f, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
		assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
		assert_int_equal(f->c.state, VSOCK_ENDED);
	}
}

static void the_guests_bytes_reach_the_host(void **state)
{
	struct fixture *f = *state;
	bool end;

	open_connection(f);
	receive_data(f, 0);
	receive_data(f, 1);
	receive_data(f, 60000);
	assert_int_equal(host_reads(f, f->payload, sizeof(f->payload), &end),
			 60001);
	assert_false(end);
	assert_memory_equal(f->payload, f->data, 1);
	assert_memory_equal(f->payload + 1, f->data, 60000);
	assert_null(f->c.waiting.data);
	assert_int_equal(f->c.forwarded, 60001);
}

static void the_guest_hears_of_room_when_half_of_it_is_news(void **state)
{
	struct fixture *f = *state;
	bool end;

	open_connection(f);
	receive_data(f, VSOCK_BUFFER_SIZE / 2 - 1);
	assert_int_equal(next(f), 0);
	receive_data(f, 1);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(f->packet.fwd_cnt, VSOCK_BUFFER_SIZE / 2);
	assert_int_equal(next(f), 0);
	/* any packet tells it */
	host_reads(f, f->payload, sizeof(f->payload), &end);
	receive_data(f, VSOCK_BUFFER_SIZE / 2);
	host_sends(f, 1);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.fwd_cnt, VSOCK_BUFFER_SIZE);
	assert_int_equal(next(f), 0);
}

static void a_question_for_credit_is_answered(void **state)
{
	struct fixture *f = *state;

	open_connection(f);
	receive_data(f, 10);
	receive_op(f, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(f->packet.fwd_cnt, 10);
	assert_int_equal(next(f), 0);
}

static void what_a_full_socket_does_not_take_comes_later(void **state)
{
	static uint8_t got[1 << 20];
	struct fixture *f = *state;
	uint32_t sent, total = 0;
	bool end;

	open_connection(f);
	sent = fill_socket(f, VSOCK_BUFFER_SIZE);
	assert_int_equal(f->c.forwarded, sent - VSOCK_BUFFER_SIZE);
	while (total < sent) {
		size_t some = host_reads(f, got + total, 10000, &end);

		assert_false(end);
		assert_int_not_equal(some, 0);
		total += (uint32_t)some;
	}
	assert_int_equal(total, sent);
	assert_int_equal(f->c.forwarded, sent);
	assert_null(f->c.waiting.data);
	/* the last of them as they were sent, around the end of the buffer */
	assert_memory_equal(got, f->data, 4096);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(f->packet.fwd_cnt, sent);
}

/* Order holds while the buffer is filled again and again before it is empty. */
static void bytes_keep_their_order_through_the_buffer(void **state)
{
	struct fixture *f = *state;
	uint32_t in = 0, out = 0;
	bool end;

	open_connection(f);
	while (in < 3 << 20) {
		uint32_t room = VSOCK_BUFFER_SIZE - f->c.waiting.count;
		uint32_t len = room < 5000 ? room : 5000;
		size_t got;

		for (uint32_t i = 0; i < len; i++)
			f->data[i] = (uint8_t)((in + i) * 13 >> 3);
		receive_data(f, len);
		in += len;
		next(f);
		got = host_reads(f, f->payload, len > 4000 ? 4000 : 9000, &end);
		for (size_t i = 0; i < got; i++, out++)
			assert_int_equal(f->payload[i],
					 (uint8_t)(out * 13 >> 3));
	}
	assert_int_equal(in - out, f->c.waiting.count + (f->c.forwarded - out));
	assert_int_equal(f->c.state, VSOCK_OPEN);
}

static void more_than_the_guest_may_send_is_reset(void **state)
{
	struct fixture *f = *state;

	open_connection(f);
	receive_data(f, VSOCK_BUFFER_SIZE + 1);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);

	restart(f, VSOCK_OPEN);
	open_connection(f);
	fill_socket(f, VSOCK_BUFFER_SIZE);
	receive_data(f, 1);
	assert_int_equal(f->c.state, VSOCK_RESET);
	assert_null(f->c.waiting.data);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
}

static void the_hosts_bytes_fill_the_guests_buffers(void **state)
{
	struct fixture *f = *state;

	open_connection(f);
	host_sends(f, 5000);
	assert_int_equal(next_in(f, 1), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 1);
	assert_int_equal(next_in(f, 3000), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 3000);
	assert_memory_equal(f->payload, f->data + 1, 3000);
	assert_int_equal(next_in(f, 4096), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 1999);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->c.sent, 5000);
	/* later bytes are noticed */
	host_sends(f, 1);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
}

static void a_packet_is_no_longer_than_64_kib(void **state)
{
	struct fixture *f = *state;

	open_connection(f);
	host_sends(f, 100000);
	assert_int_equal(next_in(f, 100000), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 65536);
}

static void the_host_is_read_as_far_as_the_credit_goes(void **state)
{
	struct fixture *f = *state;

	receive_credit(f, 1000, 0);
	host_sends(f, 3000);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 1000);
	/* asked for once */
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	assert_int_equal(next(f), 0);
	event_loop_run(f->loop);
	assert_int_equal(next(f), 0);
	receive_credit(f, 1000, 0);
	assert_int_equal(next(f), 0);
	receive_credit(f, 1000, 10);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 10);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	receive_credit(f, 1500, 510);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 1000);
	assert_int_equal(f->c.sent, 2010);
}

static void no_credit_at_first_is_fine(void **state)
{
	struct fixture *f = *state;

	host_sends(f, 10);
	receive_credit(f, 0, 0);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	assert_int_equal(next(f), 0);
	receive_credit(f, 1, 0);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 1);
}

/* 5.10.6.3 in the arithmetic of 32 bits, whatever the guest says. */
static void odd_credit_is_no_credit(void **state)
{
	struct fixture *f = *state;

	receive_credit(f, 1000, 0);
	host_sends(f, 5000);
	assert_int_equal(next_in(f, 800), VIRTIO_VSOCK_OP_RW);
	/* a buffer that has become smaller than what is under way */
	receive_credit(f, 500, 0);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	assert_int_equal(next(f), 0);
	receive_credit(f, 0, 0);
	assert_int_equal(next(f), 0);
	/* it counts as forwarded what it was not sent */
	receive_credit(f, 500, 801);
	assert_int_equal(next(f), 0);
	receive_credit(f, 500, 0x80000000);
	assert_int_equal(next(f), 0);
	/* and back: an older count changes nothing */
	receive_credit(f, 1000, 800);
	assert_int_equal(next_in(f, 100), VIRTIO_VSOCK_OP_RW);
	receive_credit(f, 1000, 0);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 900);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	receive_credit(f, 0xffffffff, 1800);
	assert_int_equal(next_in(f, 10000), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 3200);
}

static void counters_wrap_around(void **state)
{
	struct fixture *f = *state;

	f->c.sent = f->c.guest_forwarded = 0xfffffff0;
	receive_credit(f, 0x20, 0xfffffff0);
	host_sends(f, 0x30);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 0x20);
	assert_int_equal(f->c.sent, 0x10);
	receive_credit(f, 0x20, 0);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(f->packet.len, 0x10);
	f->c.forwarded = f->c.forwarded_told = 0xffffff00;
	receive_data(f, VSOCK_BUFFER_SIZE / 2);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(f->packet.fwd_cnt, VSOCK_BUFFER_SIZE / 2 - 0x100);
}

static void who_does_not_answer_in_time_is_given_up(void **state)
{
	struct fixture *f = *state;
	uint8_t text[8];
	bool end;

	restart(f, VSOCK_LINE);
	assert_true(vsock_connection_is_waiting(&f->c));
	vsock_connection_time_out(&f->c);
	assert_int_equal(f->c.state, VSOCK_ENDED);
	host_reads(f, text, sizeof(text), &end);
	assert_true(end);

	/* the guest was not told of it, or was */
	restart(f, VSOCK_REQUESTED);
	f->c.opening = VIRTIO_VSOCK_OP_REQUEST;
	vsock_connection_time_out(&f->c);
	assert_int_equal(f->c.state, VSOCK_ENDED);
	restart(f, VSOCK_REQUESTED);
	f->c.opening = VIRTIO_VSOCK_OP_REQUEST;
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_REQUEST);
	vsock_connection_time_out(&f->c);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(f->c.state, VSOCK_ENDED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_hosts_request_is_answered_by_a_line),
		TEST(a_refused_request_ends_the_hosts_socket),
		TEST(answers_out_of_turn_are_reset),
		TEST(a_reset_takes_the_place_of_an_answer),
		TEST(operations_that_do_not_exist_are_reset),
		TEST(the_guests_bytes_reach_the_host),
		TEST(the_guest_hears_of_room_when_half_of_it_is_news),
		TEST(a_question_for_credit_is_answered),
		TEST(what_a_full_socket_does_not_take_comes_later),
		TEST(bytes_keep_their_order_through_the_buffer),
		TEST(more_than_the_guest_may_send_is_reset),
		TEST(the_hosts_bytes_fill_the_guests_buffers),
		TEST(a_packet_is_no_longer_than_64_kib),
		TEST(the_host_is_read_as_far_as_the_credit_goes),
		TEST(no_credit_at_first_is_fine),
		TEST(odd_credit_is_no_credit),
		TEST(counters_wrap_around),
		TEST(who_does_not_answer_in_time_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
