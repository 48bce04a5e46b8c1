/* One connection between a socket of the guest and one of the host (virtio 1.2,
 * 5.10.6): what each end has sent, has closed and may still send.
 *
 * A connection knows packets and a non-blocking stream socket, but neither
 * rings nor other connections. Bytes from the guest go to the socket at once.
 * Those that the socket does not take wait in a buffer, whose size the guest is
 * told as buf_alloc. Bytes from the host are read directly into the guest's
 * buffers, but no more than the guest has given credit for.
 *
 * The socket is watched edge-triggered: bytes that the guest does not take cost
 * nothing until more come. All functions run under the device's mutex.
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
	VSOCK_LINE,	 /* the host's program has not named a port yet */
	VSOCK_REQUESTED, /* the guest has not answered the request yet */
	VSOCK_OPEN,
	VSOCK_RESET,	/* the socket is closed; the guest gets an RST */
	VSOCK_DRAINING, /* over for the guest; the host still gets bytes */
	VSOCK_ENDED,	/* over for both; the socket is closed */
};

struct vsock_connection {
	enum vsock_state state;
	struct event_loop *loop;
	struct event_source *socket; /* this closes its fd; -1: closed */
	uint32_t local_port;	     /* the host's */
	uint32_t peer_port;	     /* the guest's */

	/* Towards the guest. All counts are bytes, modulo 2^32. */
	uint16_t opening;  /* OP_REQUEST or OP_RESPONSE to send; 0: none */
	bool readable;	   /* the socket may have bytes, or have ended */
	bool credit_asked; /* CREDIT_REQUEST was sent for the present lack */
	uint8_t host_done; /* VIRTIO_VSOCK_SHUTDOWN_* that the host has done */
	uint8_t host_done_told; /* those that the guest has been told */
	uint32_t sent;
	uint32_t guest_space;	  /* the guest's buf_alloc */
	uint32_t guest_forwarded; /* the guest's fwd_cnt */

	/* From the guest. */
	uint8_t guest_done;	 /* VIRTIO_VSOCK_SHUTDOWN_* of the guest */
	bool update_asked;	 /* the guest sent a CREDIT_REQUEST */
	uint32_t forwarded;	 /* bytes that the socket has taken */
	uint32_t forwarded_told; /* those that the guest has been told */
	struct vsock_buffer waiting;

	struct vsock_line line;
};

/* socket->fd, which does not block, is taken over. The event source itself
 * stays the caller's, who adds it to the loop with EPOLLIN | EPOLLET. */
void vsock_connection_init(struct vsock_connection *c, struct event_loop *loop,
			   struct event_source *socket, enum vsock_state state);

/* Takes a packet from the guest. payload has packet->len bytes; here and below
 * it has at most CHAIN_IOV_MAX pieces. */
void vsock_connection_receive(struct vsock_connection *c,
			      const struct vsock_packet *packet,
			      const struct iov_cursor *payload);

/* Takes the credit that the guest's first packet, a REQUEST, grants. */
void vsock_connection_credit(struct vsock_connection *c,
			     const struct vsock_packet *packet);

/* Whether there may be a packet for the guest. */
bool vsock_connection_has_packet(const struct vsock_connection *c);

/* Makes the next packet for the guest and writes its payload behind the cursor,
 * where there is room for at least one byte. The caller sets the CIDs. False
 * when there was no packet; vsock_connection_has_packet() is, too, then. */
bool vsock_connection_next(struct vsock_connection *c,
			   struct vsock_packet *packet,
			   struct iov_cursor payload);

/* To be called when the event loop reports events of the socket. */
void vsock_connection_ready(struct vsock_connection *c, uint32_t events);

/* Whether the connection waits for a step of the host's program or the guest
 * that has a time limit, and what to call when the limit has passed. */
bool vsock_connection_is_waiting(const struct vsock_connection *c);
void vsock_connection_time_out(struct vsock_connection *c);

/* To be called when the guest has forgotten the connection: it sent an RST, or
 * its driver was reset. If the guest had closed its direction before, the host
 * still gets what it sent. */
void vsock_connection_forget_guest(struct vsock_connection *c);

/* Closes the socket at once: the state is VSOCK_ENDED. */
void vsock_connection_end(struct vsock_connection *c);
