/* The stream back end by itself, one end of a socket pair. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net/net_stream.h"

struct fixture {
	struct net_stream *stream;
	struct net_backend *backend;
	int peer;
	uint8_t frame[1 << 17];
	uint8_t got[1 << 17];
};

static int setup(void **state)
{
	static struct fixture f;
	struct error err;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		return -1;
	f.peer = fds[1];
	f.stream = net_stream_create(fds[0], "the peer", &err);
	f.backend = net_stream_backend(f.stream);
	for (size_t i = 0; i < sizeof(f.frame); i++)
		f.frame[i] = (uint8_t)(i * 7 + 1);
	*state = &f;
	return !f.stream;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	net_stream_destroy(f->stream);
	net_stream_destroy(NULL);
	if (f->peer >= 0)
		close(f->peer);
	return 0;
}

/* --- receive --- */

static void put_bytes(struct fixture *f, const void *data, size_t len)
{
	assert_int_equal(send(f->peer, data, len, 0), len);
}

static void put_length(struct fixture *f, uint32_t len)
{
	len = htonl(len);
	put_bytes(f, &len, sizeof(len));
}

/* In one piece: the kernel charges a socket for each. */
static void put_frame(struct fixture *f, size_t len)
{
	static uint8_t bytes[1 << 17];
	uint32_t length = htonl((uint32_t)len);

	memcpy(bytes, &length, 4);
	memcpy(bytes + 4, f->frame, len);
	put_bytes(f, bytes, 4 + len);
}

static bool fetch(struct fixture *f)
{
	return f->backend->ops->fetch(f->backend);
}

static ssize_t receive(struct fixture *f, size_t capacity)
{
	struct iovec iov[4] = {
		{ f->got, 5 },
		{ f->got + 5, 20 },
		{ f->got + 25, capacity - 25 },
	};

	memset(f->got, 0xee, sizeof(f->got));
	return f->backend->ops->receive(f->backend, iov, 3, capacity);
}

static void assert_received(struct fixture *f, size_t len)
{
	static const uint8_t header[NET_HEADER];

	assert_int_equal(f->backend->next, NET_HEADER + len);
	assert_int_equal(receive(f, sizeof(f->got)), NET_HEADER + len);
	assert_memory_equal(f->got, header, NET_HEADER);
	assert_memory_equal(f->got + NET_HEADER, f->frame, len);
	assert_int_equal(f->got[NET_HEADER + len], 0xee);
}

static void a_frame_that_comes_byte_by_byte_is_one(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[2 * (4 + 20)] = { 0, 0, 0, 20, [24] = 0, 0, 0, 20 };

	memcpy(bytes + 4, f->frame, 20);
	memcpy(bytes + 28, f->frame, 20);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		assert_false(fetch(f));
		assert_int_equal(receive(f, 100), -1);
		put_bytes(f, &bytes[i], 1);
		if ((i + 1) % 24)
			continue;
		assert_true(fetch(f));
		assert_received(f, 20);
	}
	assert_false(f->backend->gone);
}

static void many_frames_that_come_at_once_are_many(void **state)
{
	struct fixture *f = *state;

	for (size_t len = 14; len < 100; len++)
		put_frame(f, len);
	assert_true(fetch(f));
	for (size_t len = 14; len < 100; len++)
		assert_received(f, len);
	assert_int_equal(f->backend->next, 0);
	assert_false(fetch(f));
}

/* The buffer's end comes to lie at every place of a frame. */
static void long_frames_stay_whole_wherever_the_buffer_ends(void **state)
{
	struct fixture *f = *state;
	size_t put = 0, got = 0;

	while (got < 300) {
		while (put < got + 2)
			put_frame(f, NET_FRAME_MAX - 41 * put++);
		assert_true(f->backend->next || fetch(f) || fetch(f));
		assert_received(f, NET_FRAME_MAX - 41 * got++);
	}
}

static void frames_without_bytes_keep_the_step(void **state)
{
	static const uint8_t zeros[40000];
	struct fixture *f = *state;

	put_length(f, 0);
	assert_false(fetch(f));
	put_bytes(f, zeros, sizeof(zeros));
	put_frame(f, 1);
	put_length(f, 0);
	put_frame(f, 60);
	put_length(f, 0);
	assert_true(fetch(f));
	assert_received(f, 1);
	assert_received(f, 60);
	assert_false(fetch(f));
	assert_false(f->backend->gone);
}

static void a_length_that_no_frame_has_ends_the_stream(void **state)
{
	struct fixture *f = *state;
	static const uint32_t lengths[] = { NET_FRAME_MAX + 1, 0x80000000,
					    UINT32_MAX };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		put_frame(f, NET_FRAME_MAX);
		put_length(f, lengths[i]);
		assert_true(fetch(f));
		assert_received(f, NET_FRAME_MAX);
		fetch(f);
		assert_true(f->backend->gone);
		assert_int_equal(receive(f, 100), -1);
		assert_false(fetch(f));
		teardown(state);
		setup(state);
	}
}

static void the_end_in_the_midst_of_a_frame_is_the_end(void **state)
{
	struct fixture *f = *state;

	put_frame(f, 60);
	put_length(f, 60);
	put_bytes(f, f->frame, 59);
	close(f->peer);
	f->peer = -1;
	assert_true(fetch(f));
	assert_received(f, 60);
	assert_false(f->backend->gone);
	assert_false(fetch(f));
	assert_true(f->backend->gone);
	assert_int_equal(receive(f, 100), -1);
}

static void a_frame_that_does_not_fit_is_lost_alone(void **state)
{
	struct fixture *f = *state;

	put_frame(f, 100);
	put_frame(f, 80);
	assert_true(fetch(f));
	assert_int_equal(receive(f, NET_HEADER + 99), NET_HEADER + 100);
	assert_int_equal(f->got[0], 0xee);
	assert_received(f, 80);
}

/* --- send --- */

static bool send_frame(struct fixture *f, size_t len)
{
	static uint8_t header[NET_HEADER];
	/* the header in two pieces, the second with the frame's first byte */
	uint8_t second[6] = { [5] = f->frame[0] };
	const struct iovec iov[] = {
		{ header, 7 },
		{ NULL, 0 },
		{ second, 6 },
		{ f->frame + 1, len - 1 },
	};

	return f->backend->ops->send(f->backend, iov, 4);
}

static void get_bytes(struct fixture *f, size_t len)
{
	assert_int_equal(recv(f->peer, f->got, len, MSG_WAITALL | MSG_DONTWAIT),
			 len);
}

static void assert_sent(struct fixture *f, size_t len)
{
	uint32_t length = htonl((uint32_t)len);

	get_bytes(f, 4 + len);
	assert_memory_equal(f->got, &length, 4);
	assert_memory_equal(f->got + 4, f->frame, len);
}

static void a_frame_is_sent_behind_its_length_without_header(void **state)
{
	struct fixture *f = *state;

	assert_true(send_frame(f, 14));
	assert_true(send_frame(f, 1500));
	assert_true(send_frame(f, 65535));
	assert_int_equal(f->backend->unsent, 0);
	assert_sent(f, 14);
	assert_sent(f, 1500);
	assert_sent(f, 65535);
}

/* passt takes 64 KiB for an attack. */
static void a_longer_frame_than_passt_takes_is_lost(void **state)
{
	struct fixture *f = *state;

	assert_true(send_frame(f, 65536));
	assert_true(send_frame(f, 20));
	assert_sent(f, 20);
}

static void what_the_socket_does_not_take_is_sent_later(void **state)
{
	struct fixture *f = *state;
	int room = 1; /* the least there is */
	size_t got = 0, want = 4 + 65535;
	unsigned partial = 0;

	setsockopt(f->backend->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	assert_true(send_frame(f, 65535));
	assert_in_range(f->backend->unsent, 1, 65535);
	/* the next one waits, and takes nothing with it */
	assert_false(send_frame(f, 20));
	while (got < want) {
		ssize_t len = recv(f->peer, f->got + got, 1000, MSG_DONTWAIT);

		partial += f->backend->unsent > 0;
		f->backend->ops->flush(f->backend);
		if (len > 0)
			got += (size_t)len;
	}
	assert_true(partial > 10);
	assert_int_equal(f->backend->unsent, 0);
	assert_int_equal(got, want);
	assert_memory_equal(f->got + 4, f->frame, 65535);
	assert_true(send_frame(f, 20));
	assert_sent(f, 20);
}

static void what_is_sent_to_nobody_is_lost(void **state)
{
	struct fixture *f = *state;
	int room = 1;

	setsockopt(f->backend->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	assert_true(send_frame(f, 65535));
	assert_true(f->backend->unsent > 0);
	close(f->peer);
	f->peer = -1;
	assert_true(send_frame(f, 100));
	assert_true(f->backend->gone);
	assert_int_equal(f->backend->unsent, 0);
	assert_true(send_frame(f, 100));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_frame_that_comes_byte_by_byte_is_one),
		TEST(many_frames_that_come_at_once_are_many),
		TEST(long_frames_stay_whole_wherever_the_buffer_ends),
		TEST(frames_without_bytes_keep_the_step),
		TEST(a_length_that_no_frame_has_ends_the_stream),
		TEST(the_end_in_the_midst_of_a_frame_is_the_end),
		TEST(a_frame_that_does_not_fit_is_lost_alone),
		TEST(a_frame_is_sent_behind_its_length_without_header),
		TEST(a_longer_frame_than_passt_takes_is_lost),
		TEST(what_the_socket_does_not_take_is_sent_later),
		TEST(what_is_sent_to_nobody_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
