/* One stream between a socket of the guest and one of the host (virtio 1.2,
 * 5.10.6): what either end has sent, closed and may still send.
 *
 * It knows packets and a non-blocking stream socket, but neither rings nor
 * other connections. The guest's bytes go to the socket at once; what that does
 * not take waits in a buffer, which is as long as the buf_alloc that the guest
 * is told. The host's bytes are read straight into the guest's buffers, and
 * only as far as its credit goes.
 *
 * The socket is watched by edges: one that has bytes which the guest does not
 * take costs nothing until more come. All functions run under the device's
 * mutex.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/event_loop.h"
#include "base/iov.h"
#include "devices/vsock/vsock_buffer.h"
#include "devices/vsock/vsock_line.h"
#include "devices/vsock/vsock_packet.h"

/* The most payload of one packet to the guest, whatever its buffers hold. */
#define VSOCK_PAYLOAD_MAX (64u << 10)

enum vsock_state {
	VSOCK_LINE,	 /* the host has not said yet which port it wants */
	VSOCK_REQUESTED, /* the guest has not answered yet */
	VSOCK_OPEN,
	VSOCK_RESET,	/* over, but that the guest has to be told */
	VSOCK_DRAINING, /* over for the guest; the host takes what is left */
	VSOCK_ENDED,	/* over for both, the socket is closed */
};

struct vsock_connection {
	enum vsock_state state;
	struct event_loop *loop;
	struct event_source *socket; /* its fd is ours; -1: closed */
	uint32_t local_port;	     /* of the host's end */
	uint32_t peer_port;	     /* of the guest's */

	/* towards the guest */
	uint16_t opening;	/* OP_REQUEST or OP_RESPONSE, to be sent; 0 */
	bool readable;		/* the socket may have bytes, or its end */
	bool credit_asked;	/* since the guest's credit was used up */
	uint8_t host_done;	/* VIRTIO_VSOCK_SHUTDOWN_* of the host's end */
	uint8_t host_done_told; /* ... which the guest knows */
	uint32_t sent;		/* bytes, modulo 2^32, as all counts here */
	uint32_t guest_space;	/* its buf_alloc */
	uint32_t guest_forwarded; /* its fwd_cnt */

	/* from the guest */
	uint8_t guest_done;	 /* VIRTIO_VSOCK_SHUTDOWN_* of its end */
	bool update_asked;	 /* it wants to know our credit */
	uint32_t forwarded;	 /* bytes that the socket has taken */
	uint32_t forwarded_told; /* ... which the guest knows */
	struct vsock_buffer waiting;

	struct vsock_line line;
};

/* The socket is the caller's, but its fd, which does not block, is taken over.
 * It is the caller's, too, to add it to the loop, with EPOLLIN | EPOLLET. */
void vsock_connection_init(struct vsock_connection *c, struct event_loop *loop,
			   struct event_source *socket, enum vsock_state state);

/* The guest has sent a packet; payload has packet->len bytes. Here and below, a
 * payload has at most CHAIN_IOV_MAX pieces. */
void vsock_connection_receive(struct vsock_connection *c,
			      const struct vsock_packet *packet,
			      const struct iov_cursor *payload);

/* Takes the credit that a packet grants; for the first one. */
void vsock_connection_credit(struct vsock_connection *c,
			     const struct vsock_packet *packet);

/* Whether there is a packet for the guest, or may be one. */
bool vsock_connection_has_packet(const struct vsock_connection *c);

/* Makes the next packet for the guest, its payload in the memory behind the
 * cursor, which has room for one byte or more. The CIDs are the caller's. False
 * when there was none; then has_packet is false, too. */
bool vsock_connection_next(struct vsock_connection *c,
			   struct vsock_packet *packet,
			   struct iov_cursor payload);

/* Something has happened to the socket: EPOLLIN and so on. */
void vsock_connection_ready(struct vsock_connection *c, uint32_t events);

/* Whether somebody else's next step must come in time; and it did not. */
bool vsock_connection_is_waiting(const struct vsock_connection *c);
void vsock_connection_time_out(struct vsock_connection *c);

/* The guest knows nothing of it any more: it sent RST, or was reset. What it
 * has sent and closed in order still goes to the host. */
void vsock_connection_forget_guest(struct vsock_connection *c);

/* Ends it at once for the host, and makes it VSOCK_ENDED. */
void vsock_connection_end(struct vsock_connection *c);
