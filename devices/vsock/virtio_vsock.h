/* Socket device (virtio 1.2, section 5.10): stream sockets between guest and
 * host. The host's ends of them are Unix sockets (vsock_mux.h).
 *
 * The kernel copies bytes directly between sockets and guest memory. Both
 * directions run in the event loop, in bounded turns. A reset by the driver
 * ends all connections. So does a move to another process, as sockets cannot be
 * saved. The driver is told of that by the event queue, once it has a buffer
 * there (VIRTIO_VSOCK_EVENT_TRANSPORT_RESET). A pause leaves connections open.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "devices/virtio/virtio_device.h"

#define VIRTIO_VSOCK_QUEUE_SIZE 256
#define VIRTIO_VSOCK_RX 0 /* queue numbers, 5.10.2 */
#define VIRTIO_VSOCK_TX 1
#define VIRTIO_VSOCK_EVENT 2

struct virtio_vsock_options {
	int listen_fd; /* non-blocking, of vsock_socket.h; outlives the device */
	/* Connects to the host's program for a port. Returns a non-blocking
	 * stream socket, which the device takes over, or -1 when there is no
	 * such program. The event loop calls it whenever the guest opens a
	 * connection, so it must not wait. connect_ctx outlives the device. */
	int (*connect)(void *ctx, uint32_t port);
	void *connect_ctx;
	uint32_t guest_cid;   /* VSOCK_GUEST_CID_MIN to _MAX */
	unsigned patience_ms; /* the time limits of vsock_mux.h; 0: 20 s */
};

/* mem and loop outlive the device. NULL with err set. */
struct virtio_device *
virtio_vsock_create(const struct virtio_vsock_options *options,
		    const struct guest_mem *mem, struct event_loop *loop,
		    struct error *err);
