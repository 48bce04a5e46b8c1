/* All connections of a socket device, and the host's end of them: a listening
 * Unix socket, on which programs of the host ask for a port of the guest
 * (vsock_line.h), and the sockets that connect() opens for the guest's own
 * connections.
 *
 * It takes and makes packets, and knows nothing of rings. Connections that have
 * packets for the guest take turns, one packet each. Time limits: a program
 * that does not say what it wants, and a guest that does not answer a request
 * or a shutdown. All functions run under the device's mutex; the callbacks in
 * the event loop take it.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/iov.h"
#include "devices/vsock/vsock_packet.h"
#include "devices/vsock/vsock_table.h"

/* Those of the host that have no answer of the guest yet; more of them wait to
 * be accepted. */
#define VSOCK_HALF_OPEN_MAX 128
/* RST packets for connections that do not exist. While there is no room for
 * another one, the guest's packets have to wait (5.10.6.1). */
#define VSOCK_REPLIES_MAX 256

/* The ports of the host's end, when the host opens the connection. */
#define VSOCK_PORT_FIRST 0x40000000u
#define VSOCK_PORT_LAST 0x7fffffffu

struct vsock_mux_options {
	struct event_loop *loop;
	pthread_mutex_t *lock; /* the device's */
	int listen_fd;	       /* non-blocking, the caller's */
	/* Returns a socket that leads to the host's program for a port: a
	 * connected, non-blocking stream socket, which is the mux's then, or -1
	 * when there is no such program. The guest's connections bring it
	 * about, so it must not wait. */
	int (*connect)(void *ctx, uint32_t port);
	void *connect_ctx;
	uint32_t guest_cid;
	unsigned patience_ms; /* the time limits */
	/* There is a packet for the guest: called last, in the event loop. */
	void (*wake)(void *ctx);
	void *ctx;
};

struct vsock_mux;

/* Strings and descriptors outlive it. NULL with err set. */
struct vsock_mux *vsock_mux_create(const struct vsock_mux_options *options,
				   struct error *err);

/* The loop has stopped. NULL is fine. */
void vsock_mux_destroy(struct vsock_mux *mux);

/* The guest's driver is up, so that connections may come; and it is no more,
 * which ends them. Also when it is so already. */
void vsock_mux_start(struct vsock_mux *mux);
void vsock_mux_stop(struct vsock_mux *mux);

/* Whether there is room for an answer, so that packets may be received. */
bool vsock_mux_may_receive(const struct vsock_mux *mux);

/* Takes a packet of the guest's, whose payload has packet->len bytes. May be
 * called if may_receive says so. */
void vsock_mux_receive(struct vsock_mux *mux, const struct vsock_packet *packet,
		       const struct iov_cursor *payload);

/* Whether there is a packet for the guest, or may be one. */
bool vsock_mux_has_packet(const struct vsock_mux *mux);

/* Makes the next packet for the guest, its payload in the memory behind the
 * cursor, which has room for a byte or more. False when there was none. */
bool vsock_mux_next(struct vsock_mux *mux, struct vsock_packet *packet,
		    struct iov_cursor payload);
