/* All connections of a socket device, in a folder of its own; the test is the
 * host's programs, and the guest.
 */
#pragma once

#include "tests/unit/unit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fair_lock.h"
#include "base/log.h"
#include "devices/vsock/vsock_buffer.h"
#include "devices/vsock/vsock_mux.h"
#include "devices/vsock/vsock_socket.h"

#define CID 42
#define RCV VIRTIO_VSOCK_SHUTDOWN_RCV
#define SEND VIRTIO_VSOCK_SHUTDOWN_SEND

struct fixture {
	struct event_loop *loop;
	pthread_mutex_t lock;
	char folder[32];
	char path[64];
	struct vsock_socket listener;
	struct vsock_mux *mux;
	unsigned wakes;
	struct vsock_packet packet; /* the last one for the guest */
	uint8_t payload[4096];
	uint8_t data[65536];
};

static inline void wake_loop(void *ctx)
{
	struct fixture *f = ctx;

	f->wakes++;
	assert_true(vsock_mux_has_packet(f->mux));
}

static inline struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	return address;
}

/* Where a program of the host listens for the guest's connections to port. */
static inline struct sockaddr_un port_address(const struct fixture *f,
					      uint32_t port)
{
	char path[80];

	snprintf(path, sizeof(path), "%s_%u", f->path, port);
	return address_of(path);
}

/* The mux's way to what host_listens() has made. */
static inline int connect_port(void *ctx, uint32_t port)
{
	struct fixture *f = ctx;
	struct sockaddr_un address = port_address(f, port);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static inline int setup_with(void **state, unsigned patience_ms)
{
	static struct fixture f;
	struct vsock_mux_options options = {
		.lock = &f.lock,
		.host.connect = connect_port,
		.host.connect_ctx = &f,
		.host.guest_cid = CID,
		.host.patience_ms = patience_ms,
		.wake = wake_loop,
		.ctx = &f,
	};
	struct error err;

	f = (struct fixture){ .folder = "/tmp/vsock-XXXXXX" };
	log_set_level(LOG_ERROR);
	if (!mkdtemp(f.folder))
		return -1;
	snprintf(f.path, sizeof(f.path), "%s/v", f.folder);
	fair_lock_init(&f.lock);
	options.loop = f.loop = event_loop_create(&err);
	event_loop_stop(f.loop); /* each run dispatches one batch */
	if (vsock_socket_open(&f.listener, f.path, &err))
		return -1;
	options.host.listen_fd = f.listener.fd;
	f.mux = vsock_mux_create(&options, &err);
	vsock_mux_start(f.mux);
	*state = &f;
	return !f.mux;
}

static inline int setup(void **state)
{
	return setup_with(state, 3600000);
}

static inline int setup_impatient(void **state)
{
	return setup_with(state, 20);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	vsock_mux_destroy(f->mux);
	vsock_socket_close(&f->listener);
	event_loop_destroy(f->loop);
	pthread_mutex_destroy(&f->lock);
	return rmdir(f->folder);
}

/* More descriptors than most shells allow. */
static inline bool allow_descriptors(rlim_t count)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= count)
		return true;
	limit.rlim_cur = count;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static inline void run(struct fixture *f)
{
	for (int i = 0; i < 3; i++)
		event_loop_run(f->loop);
}

/* A program of the host's that connects, and says `line`. */
static inline int host_connects(struct fixture *f, const char *line)
{
	struct sockaddr_un address = address_of(f->path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_int_equal(
		connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(send(fd, line, strlen(line), 0), strlen(line));
	run(f);
	return fd;
}

/* A program of the host's that listens for connections to `port`. */
static inline int host_listens(struct fixture *f, uint32_t port)
{
	struct sockaddr_un address = port_address(f, port);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)),
			 0);
	assert_int_equal(listen(fd, SOMAXCONN), 0);
	return fd;
}

static inline void host_stops(struct fixture *f, int fd, uint32_t port)
{
	struct sockaddr_un address = port_address(f, port);

	close(fd);
	unlink(address.sun_path);
}

/* Also when something that was sent has not been read. */
static inline bool has_ended(int fd)
{
	char byte;
	ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return got == 0 || (got < 0 && errno == ECONNRESET);
}

/* Runs the loop until the socket has ended. */
static inline void await_end(struct fixture *f, int fd)
{
	for (int i = 0; i < 20000 && !has_ended(fd); i++) {
		usleep(1000);
		run(f);
	}
	assert_true(has_ended(fd));
}

static inline struct vsock_packet from_guest(uint16_t op, uint32_t guest_port,
					     uint32_t host_port)
{
	return (struct vsock_packet){
		.src_cid = CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = guest_port,
		.dst_port = host_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = 1 << 20,
	};
}

static inline void receive(struct fixture *f, const struct vsock_packet *packet)
{
	struct iovec iov = { f->data, sizeof(f->data) };
	struct iov_cursor cursor = iov_cursor(&iov, 1);

	assert_true(vsock_mux_may_receive(f->mux));
	vsock_mux_receive(f->mux, packet, &cursor);
}

static inline void receive_op(struct fixture *f, uint16_t op,
			      uint32_t guest_port, uint32_t host_port)
{
	struct vsock_packet packet = from_guest(op, guest_port, host_port);

	receive(f, &packet);
}

/* The operation of the next packet for the guest, 0 when there is none. */
static inline uint16_t next(struct fixture *f)
{
	struct iovec iov = { f->payload, sizeof(f->payload) };

	if (!vsock_mux_next(f->mux, &f->packet, iov_cursor(&iov, 1))) {
		assert_false(vsock_mux_has_packet(f->mux));
		return 0;
	}
	assert_int_equal(f->packet.dst_cid, CID);
	return f->packet.op;
}

/* Opens a connection to the guest's port. Returns the host's socket; the
 * assigned port is in f->packet.src_port. */
static inline int open_from_host(struct fixture *f, uint32_t port)
{
	char line[32], expected[32];
	ssize_t len;
	int fd;

	snprintf(line, sizeof(line), "CONNECT %u\n", port);
	fd = host_connects(f, line);
	assert_int_equal(next(f), VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(f->packet.dst_port, port);
	receive_op(f, VIRTIO_VSOCK_OP_RESPONSE, port, f->packet.src_port);
	len = snprintf(expected, sizeof(expected), "OK %u\n",
		       f->packet.src_port);
	assert_int_equal(recv(fd, line, sizeof(line), 0), len);
	assert_memory_equal(line, expected, (size_t)len);
	return fd;
}
