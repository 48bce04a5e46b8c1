/* All connections of a socket device, and the host's ends of them. Programs of
 * the host open connections by a listening Unix socket, on which they name a
 * port of the guest (vsock_line.h). For connections that the guest opens,
 * connect() finds the host's program.
 *
 * The mux takes and makes packets, and knows nothing about rings. Connections
 * that have packets for the guest take turns, one packet each. Three steps have
 * a time limit, patience_ms: the line of a program, the guest's answer to a
 * request, and its answer to a shutdown. All functions run under the device's
 * mutex, which the event loop holds during callbacks.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/iov.h"
#include "devices/vsock/virtio_vsock.h"
#include "devices/vsock/vsock_packet.h"
#include "devices/vsock/vsock_table.h"

/* Connections of programs that the guest has not answered yet. Others wait to
 * be accepted. */
#define VSOCK_HALF_OPEN_MAX 128
/* RST packets for connections that do not exist. While there is no room for
 * another one, the guest's packets have to wait (5.10.6.1). */
#define VSOCK_REPLIES_MAX 256

/* The ports of the host's end, when the host opens the connection. */
#define VSOCK_PORT_FIRST 0x40000000u
#define VSOCK_PORT_LAST 0x7fffffffu

struct vsock_mux_options {
	struct virtio_vsock_options host;
	struct event_loop *loop;
	pthread_mutex_t *lock; /* the device's */
	/* Called in the event loop when there is a packet for the guest. The
	 * mux does nothing after the call. */
	void (*wake)(void *ctx);
	void *ctx;
};

struct vsock_mux;

/* loop, lock and ctx outlive the mux. NULL with err set. */
struct vsock_mux *vsock_mux_create(const struct vsock_mux_options *options,
				   struct error *err);

/* To be called when the loop has stopped. NULL is fine. */
void vsock_mux_destroy(struct vsock_mux *mux);

/* start: the guest's driver is up, and connections are accepted. stop: it is
 * not, and all connections end. Either may be called twice in a row. */
void vsock_mux_start(struct vsock_mux *mux);
void vsock_mux_stop(struct vsock_mux *mux);

/* Whether a packet may be received: there is room for an answer to it. */
bool vsock_mux_may_receive(const struct vsock_mux *mux);

/* Takes a packet from the guest, whose payload has packet->len bytes. To be
 * called only if vsock_mux_may_receive(). */
void vsock_mux_receive(struct vsock_mux *mux, const struct vsock_packet *packet,
		       const struct iov_cursor *payload);

/* Whether there may be a packet for the guest. */
bool vsock_mux_has_packet(const struct vsock_mux *mux);

/* Makes the next packet for the guest and writes its payload behind the cursor,
 * where there is room for at least one byte. False when there was no packet. */
bool vsock_mux_next(struct vsock_mux *mux, struct vsock_packet *packet,
		    struct iov_cursor payload);
