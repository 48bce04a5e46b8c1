#include "devices/vsock/vsock_connection.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/virtio/virtqueue.h"

#define RCV VIRTIO_VSOCK_SHUTDOWN_RCV
#define SEND VIRTIO_VSOCK_SHUTDOWN_SEND
#define BOTH VSOCK_SHUTDOWN_BOTH

/* The guest is told how much the socket has taken after so many bytes. */
#define UPDATE_BYTES (VSOCK_BUFFER_SIZE / 2)

void vsock_connection_init(struct vsock_connection *c, struct event_loop *loop,
			   struct event_source *socket, enum vsock_state state)
{
	*c = (struct vsock_connection){
		.state = state,
		.loop = loop,
		.socket = socket,
		.readable = true,
	};
}

static void close_socket(struct vsock_connection *c)
{
	if (c->socket->fd < 0)
		return;
	event_loop_remove(c->loop, c->socket);
	close(c->socket->fd);
	c->socket->fd = -1;
	vsock_buffer_clear(&c->waiting);
}

void vsock_connection_end(struct vsock_connection *c)
{
	close_socket(c);
	c->state = VSOCK_ENDED;
}

static void reset(struct vsock_connection *c)
{
	close_socket(c);
	c->state = VSOCK_RESET;
}

/* --- from the guest to the socket --- */

/* The host's program takes nothing any more: what was sent to it is lost. */
static void lose_output(struct vsock_connection *c)
{
	c->forwarded += c->waiting.count;
	vsock_buffer_clear(&c->waiting);
	c->host_done |= RCV;
}

static void watch_output(struct vsock_connection *c, bool wanted)
{
	if (event_loop_modify(c->loop, c->socket,
			      EPOLLIN | EPOLLET | (wanted ? EPOLLOUT : 0)))
		reset(c);
}

/* Once the socket has taken all that the guest sent, closes what the guest has
 * closed. */
static void finish_output(struct vsock_connection *c)
{
	if (c->waiting.count)
		return;
	if (c->state == VSOCK_DRAINING)
		vsock_connection_end(c);
	else if (c->guest_done == BOTH)
		reset(c);
	else if (c->guest_done & SEND)
		shutdown(c->socket->fd, SHUT_WR);
}

static void send_waiting(struct vsock_connection *c)
{
	int sent = vsock_buffer_send(&c->waiting, c->socket->fd);

	if (sent >= 0)
		c->forwarded += (uint32_t)sent;
	else if (sent != -EAGAIN)
		lose_output(c);
	if (!c->waiting.count)
		watch_output(c, false);
	if (c->socket->fd >= 0)
		finish_output(c);
}

/* The bytes that the socket took at once; -errno when it takes no more. */
static ssize_t send_now(struct vsock_connection *c, struct iov_cursor payload,
			uint32_t len)
{
	struct iovec iov[CHAIN_IOV_MAX];
	struct msghdr message = {
		.msg_iov = iov,
		.msg_iovlen = iov_take(&payload, len, iov),
	};
	ssize_t sent =
		sendmsg(c->socket->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0)
		return errno == EAGAIN ? 0 : -errno;
	return sent;
}

static void receive_data(struct vsock_connection *c, uint32_t len,
			 struct iov_cursor payload)
{
	ssize_t sent = 0;

	/* 5.10.6.3: the guest may not send more than there is room for */
	if ((c->guest_done & SEND) ||
	    len > VSOCK_BUFFER_SIZE - c->waiting.count) {
		reset(c);
		return;
	}
	if (!len)
		return;
	if (!(c->host_done & RCV) && !c->waiting.count)
		sent = send_now(c, payload, len);
	if (sent < 0)
		lose_output(c);
	if (c->host_done & RCV)
		sent = len;
	c->forwarded += (uint32_t)sent;
	len -= (uint32_t)sent;
	if (!len)
		return;
	iov_skip(&payload, (size_t)sent);
	if (!c->waiting.count)
		watch_output(c, true);
	if (c->state == VSOCK_OPEN &&
	    vsock_buffer_add(&c->waiting, &payload, len))
		reset(c);
}

static void receive_shutdown(struct vsock_connection *c, uint32_t flags)
{
	uint8_t news = flags & BOTH & ~c->guest_done;

	c->guest_done |= news;
	if (news & RCV)
		shutdown(c->socket->fd, SHUT_RD);
	if (news)
		finish_output(c);
}

/* --- packets from the guest --- */

void vsock_connection_credit(struct vsock_connection *c,
			     const struct vsock_packet *packet)
{
	c->guest_space = packet->buf_alloc;
	/* A good count lies between the last one and what the guest was sent.
	 * An older one is ignored, since Linux may send two packets of a
	 * connection in the wrong order. */
	if (c->sent - packet->fwd_cnt <= c->sent - c->guest_forwarded)
		c->guest_forwarded = packet->fwd_cnt;
}

/* How many bytes the guest has room for. */
static uint32_t credit(const struct vsock_connection *c)
{
	uint32_t under_way = c->sent - c->guest_forwarded;

	/* the guest may have made its buffer smaller */
	return c->guest_space > under_way ? c->guest_space - under_way : 0;
}

void vsock_connection_forget_guest(struct vsock_connection *c)
{
	if (c->state == VSOCK_OPEN && (c->guest_done & SEND) &&
	    c->waiting.count)
		c->state = VSOCK_DRAINING;
	else if (c->state != VSOCK_DRAINING)
		vsock_connection_end(c);
}

static void receive_response(struct vsock_connection *c)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "OK %u\n", c->local_port);

	if (c->state != VSOCK_REQUESTED || c->opening) {
		reset(c);
		return;
	}
	c->state = VSOCK_OPEN;
	/* these are the first bytes on the socket, which has room for them */
	if (send(c->socket->fd, text, (size_t)len,
		 MSG_DONTWAIT | MSG_NOSIGNAL) != len)
		lose_output(c);
}

void vsock_connection_receive(struct vsock_connection *c,
			      const struct vsock_packet *packet,
			      const struct iov_cursor *payload)
{
	if (packet->op == VIRTIO_VSOCK_OP_RST) {
		vsock_connection_forget_guest(c);
		return;
	}
	if (c->state == VSOCK_RESET)
		return; /* the guest does not know yet */
	vsock_connection_credit(c, packet);
	if (credit(c))
		c->credit_asked = false;
	if (packet->op == VIRTIO_VSOCK_OP_RESPONSE) {
		receive_response(c);
		return;
	}
	if (c->state != VSOCK_OPEN) {
		reset(c);
		return;
	}
	switch (packet->op) {
	case VIRTIO_VSOCK_OP_RW:
		receive_data(c, packet->len, *payload);
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		receive_shutdown(c, packet->flags);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		c->update_asked = true;
		break;
	default:
		reset(c);
	}
}

/* --- packets for the guest --- */

static bool has_input(const struct vsock_connection *c)
{
	return c->readable && !(c->host_done & SEND) && !(c->guest_done & RCV);
}

/* The operation of the next packet for the guest; 0: there is none. */
static uint16_t next_op(const struct vsock_connection *c)
{
	if (c->state == VSOCK_RESET)
		return VIRTIO_VSOCK_OP_RST;
	if (c->state != VSOCK_REQUESTED && c->state != VSOCK_OPEN)
		return 0;
	if (c->opening || c->state == VSOCK_REQUESTED)
		return c->opening;
	if (has_input(c) && credit(c))
		return VIRTIO_VSOCK_OP_RW;
	if (c->host_done & ~c->host_done_told)
		return VIRTIO_VSOCK_OP_SHUTDOWN;
	if (!(c->guest_done & SEND) &&
	    (c->update_asked ||
	     c->forwarded - c->forwarded_told >= UPDATE_BYTES))
		return VIRTIO_VSOCK_OP_CREDIT_UPDATE;
	if (has_input(c) && !c->credit_asked)
		return VIRTIO_VSOCK_OP_CREDIT_REQUEST;
	return 0;
}

bool vsock_connection_has_packet(const struct vsock_connection *c)
{
	return next_op(c) != 0;
}

/* Whether nothing can pass in either direction any more: the other end of the
 * socket is closed, or both directions are shut down. */
static bool is_hung_up(const struct vsock_connection *c)
{
	struct pollfd pollfd = { .fd = c->socket->fd };

	return poll(&pollfd, 1, 0) == 1 && (pollfd.revents & POLLHUP);
}

/* After a hang-up, the guest still gets what the host's program sent before:
 * its direction ends when read_socket() has come to the end. */
static void look_for_end(struct vsock_connection *c)
{
	if (!is_hung_up(c))
		return;
	c->host_done |= RCV;
	if (c->guest_done & RCV)
		c->host_done |= SEND;
}

/* Reads from the socket into the guest's buffers. False when nothing came. */
static bool read_socket(struct vsock_connection *c, struct vsock_packet *packet,
			struct iov_cursor payload)
{
	struct iovec iov[CHAIN_IOV_MAX];
	uint32_t len = credit(c);
	unsigned count;
	ssize_t got;

	if (len > VSOCK_PAYLOAD_MAX)
		len = VSOCK_PAYLOAD_MAX;
	count = iov_take(&payload, len, iov);
	got = readv(c->socket->fd, iov, (int)count);
	if (got > 0) {
		packet->len = (uint32_t)got;
		c->sent += packet->len;
		return true;
	}
	c->readable = false;
	if (got == 0) {
		c->host_done |= SEND;
		look_for_end(c);
	} else if (errno != EAGAIN) {
		reset(c); /* the program left without reading everything */
	}
	return false;
}

bool vsock_connection_next(struct vsock_connection *c,
			   struct vsock_packet *packet,
			   struct iov_cursor payload)
{
	uint16_t op = next_op(c);

	*packet = (struct vsock_packet){
		.src_port = c->local_port,
		.dst_port = c->peer_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.buf_alloc = VSOCK_BUFFER_SIZE,
		.fwd_cnt = c->forwarded,
	};
	if (op == VIRTIO_VSOCK_OP_RW && !read_socket(c, packet, payload))
		op = next_op(c);
	switch (op) {
	case 0:
		return false;
	case VIRTIO_VSOCK_OP_RST:
		c->state = VSOCK_ENDED;
		break;
	case VIRTIO_VSOCK_OP_REQUEST:
	case VIRTIO_VSOCK_OP_RESPONSE:
		c->opening = 0;
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		packet->flags = c->host_done_told = c->host_done;
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		c->credit_asked = true;
		break;
	}
	packet->op = op;
	c->forwarded_told = c->forwarded;
	c->update_asked = false;
	return true;
}

/* --- the socket, and time --- */

void vsock_connection_ready(struct vsock_connection *c, uint32_t events)
{
	if (c->socket->fd < 0)
		return;
	c->readable = true;
	if (c->waiting.count)
		send_waiting(c);
	if (c->state == VSOCK_OPEN && (events & (EPOLLHUP | EPOLLERR)))
		look_for_end(c);
}

bool vsock_connection_is_waiting(const struct vsock_connection *c)
{
	return c->state == VSOCK_LINE || c->state == VSOCK_REQUESTED ||
	       (c->state == VSOCK_OPEN && c->host_done_told == BOTH);
}

void vsock_connection_time_out(struct vsock_connection *c)
{
	if (c->state == VSOCK_LINE || c->opening)
		vsock_connection_end(c); /* the guest has not heard of it */
	else
		reset(c);
}
