/* One connection of the socket device on one end of a socket pair; the test is
 * the host's program on the other end, and the guest.
 */
#pragma once

#include "tests/unit/unit.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/vsock/vsock_connection.h"

#define RCV VIRTIO_VSOCK_SHUTDOWN_RCV
#define SEND VIRTIO_VSOCK_SHUTDOWN_SEND

struct fixture {
	struct event_loop *loop;
	struct event_source socket;
	struct vsock_connection c;
	int peer;
	struct vsock_packet packet; /* the last one for the guest */
	uint8_t payload[256 << 10];
	uint8_t data[256 << 10];
};

static inline void ready(struct event_source *source, uint32_t events)
{
	struct fixture *f =
		(void *)((char *)source - offsetof(struct fixture, socket));

	vsock_connection_ready(&f->c, events);
}

/* Starts with fresh counters, which the packets of the guest are based on. */
static inline void restart(struct fixture *f, enum vsock_state state)
{
	int fds[2];

	vsock_connection_end(&f->c);
	if (f->peer >= 0)
		close(f->peer);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	f->socket.fd = fds[0];
	f->peer = fds[1];
	vsock_connection_init(&f->c, f->loop, &f->socket, state);
	f->c.local_port = 1000;
	f->c.peer_port = 2000;
	event_loop_add(f->loop, &f->socket, EPOLLIN | EPOLLET);
}

static inline int setup(void **state)
{
	static struct fixture f;
	struct error err;

	f = (struct fixture){
		.socket = { .fd = -1, .ready = ready },
		.peer = -1,
		.c.socket = &f.socket,
	};
	f.loop = event_loop_create(&err);
	event_loop_stop(f.loop); /* each run dispatches one batch */
	for (size_t i = 0; i < sizeof(f.data); i++)
		f.data[i] = (uint8_t)(i * 7 + (i >> 8));
	restart(&f, VSOCK_OPEN);
	*state = &f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	vsock_connection_end(&f->c);
	close(f->peer);
	event_loop_destroy(f->loop);
	return 0;
}

/* A packet of the guest's, with credit for a lot. */
static inline struct vsock_packet from_guest(struct fixture *f, uint16_t op)
{
	return (struct vsock_packet){
		.src_cid = 3,
		.dst_cid = 2,
		.src_port = 2000,
		.dst_port = 1000,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = 1 << 20,
		.fwd_cnt = f->c.sent,
	};
}

static inline void receive(struct fixture *f, const struct vsock_packet *packet)
{
	/* in two pieces, the second of which is longer than it need be */
	struct iovec iov[] = { { f->data, 1 },
			       { f->data + 1, sizeof(f->data) - 1 } };
	struct iov_cursor cursor = iov_cursor(iov, 2);

	vsock_connection_receive(&f->c, packet, &cursor);
}

static inline void receive_op(struct fixture *f, uint16_t op)
{
	struct vsock_packet packet = from_guest(f, op);

	receive(f, &packet);
}

static inline void receive_data(struct fixture *f, uint32_t len)
{
	struct vsock_packet packet = from_guest(f, VIRTIO_VSOCK_OP_RW);

	packet.len = len;
	receive(f, &packet);
}

static inline void receive_shutdown(struct fixture *f, uint32_t flags)
{
	struct vsock_packet packet = from_guest(f, VIRTIO_VSOCK_OP_SHUTDOWN);

	packet.flags = flags;
	receive(f, &packet);
}

static inline void receive_credit(struct fixture *f, uint32_t buf_alloc,
				  uint32_t fwd_cnt)
{
	struct vsock_packet packet =
		from_guest(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE);

	packet.buf_alloc = buf_alloc;
	packet.fwd_cnt = fwd_cnt;
	receive(f, &packet);
}

/* The next packet for the guest, whose buffer has room for so many bytes. Its
 * operation, 0 when there is none. */
static inline uint16_t next_in(struct fixture *f, size_t room)
{
	struct iovec iov[] = { { f->payload, room / 3 },
			       { f->payload + room / 3, room - room / 3 } };
	bool expected = vsock_connection_has_packet(&f->c);
	bool made =
		vsock_connection_next(&f->c, &f->packet, iov_cursor(iov, 2));

	assert_true(expected || !made);
	if (!made) {
		assert_false(vsock_connection_has_packet(&f->c));
		return 0;
	}
	assert_int_equal(f->packet.src_port, 1000);
	assert_int_equal(f->packet.dst_port, 2000);
	assert_int_equal(f->packet.type, VIRTIO_VSOCK_TYPE_STREAM);
	assert_int_equal(f->packet.buf_alloc, VSOCK_BUFFER_SIZE);
	return f->packet.op;
}

static inline uint16_t next(struct fixture *f)
{
	return next_in(f, 4096);
}

/* Gives the guest credit before anything else. */
static inline void open_connection(struct fixture *f)
{
	receive_credit(f, 1 << 20, 0);
	assert_int_equal(next(f), 0);
}

static inline void host_sends(struct fixture *f, size_t len)
{
	assert_int_equal(send(f->peer, f->data, len, 0), len);
	event_loop_run(f->loop);
}

/* All that the host's program gets; then *end says whether there is an end. */
static inline size_t host_reads(struct fixture *f, uint8_t *buf, size_t size,
				bool *end)
{
	size_t total = 0;
	ssize_t got = -1;

	while (total < size &&
	       (got = recv(f->peer, buf + total, size - total, 0)) > 0)
		total += (size_t)got;
	*end = got == 0 || (got < 0 && errno != EAGAIN);
	event_loop_run(f->loop);
	return total;
}

/* Lets the guest send until the socket is full and `len` bytes wait. Returns
 * how many it has sent. */
static inline uint32_t fill_socket(struct fixture *f, uint32_t len)
{
	uint32_t sent = 0;

	while (!f->c.waiting.count) {
		receive_data(f, 4096);
		sent += 4096;
		if (f->c.forwarded - f->c.forwarded_told >
		    VSOCK_BUFFER_SIZE / 2)
			assert_int_equal(next(f),
					 VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	}
	while (f->c.waiting.count < len) {
		uint32_t more = len - f->c.waiting.count;

		receive_data(f, more);
		sent += more;
	}
	assert_int_equal(f->c.state, VSOCK_OPEN);
	return sent;
}
