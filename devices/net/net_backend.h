/* What stands behind one queue pair of virtio-net: the other end of the wire.
 *
 * To the device a frame always has the 12-byte header of virtio 1.2, 5.1.6, in
 * front; the back end makes of it what its descriptor wants. A back end is
 * embedded in its owner's struct, outlives the device and with it a reset or a
 * reboot of the guest, and keeps what is left of a frame until then. Nothing
 * here blocks. Under the device's mutex.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "devices/virtio/virtqueue.h"

/* Younger than some of the headers around: UDP segments (5.1.3). */
#ifndef VIRTIO_NET_F_GUEST_USO4
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO 56
#endif

#define NET_HEADER 12 /* bytes of struct virtio_net_hdr_v1 */
#define NET_MAC_LEN 6

/* The longest frame either way, without header: an IP packet of 64 KiB as
 * segmentation offload makes them, with VLAN tag (5.1.6.3.1: 65562 with the
 * header, and a tag). The shortest is an Ethernet header. */
#define NET_FRAME_MAX (65535 + 14 + 4)
#define NET_FRAME_MIN 14

#define NET_PAIRS_MAX 8

struct net_backend;

struct net_backend_ops {
	/* Waits for nothing, but reads ahead until `next` is known: false when
	 * no whole frame is there. NULL where a length is known only once the
	 * frame has been received. */
	bool (*fetch)(struct net_backend *backend);

	/* Puts the next frame into iov[0 .. count), which have room for
	 * capacity bytes; iov[count] is to spare, and as it was afterwards.
	 * Returns the length with header, of which more than capacity is one
	 * that did not fit and is lost; -1 when there is no frame. */
	ssize_t (*receive)(struct net_backend *backend, struct iovec *iov,
			   unsigned count, size_t capacity);

	/* Sends a frame of NET_HEADER + NET_FRAME_MIN to NET_FRAME_MAX bytes
	 * out of at most CHAIN_IOV_MAX buffers. What is refused is lost, as on
	 * a wire; false when it has to wait until fd is writable. */
	bool (*send)(struct net_backend *backend, const struct iovec *iov,
		     unsigned count);

	/* Goes on with the `unsent` bytes of a frame. NULL: there are none. */
	void (*flush)(struct net_backend *backend);

	/* Whether frames shall come here, where several back ends are one wire.
	 * What is sent while they do not is lost. 0 or -errno. NULL: always. */
	int (*set_active)(struct net_backend *backend, bool active);

	/* Which frames the driver takes: VIRTIO_NET_F_GUEST_* out of
	 * `features`. 0 or -errno. NULL: plain ones only. */
	int (*set_offloads)(struct net_backend *backend, uint64_t features);
};

struct net_backend {
	const struct net_backend_ops *ops;
	const char *name;  /* in messages: "the tap" */
	int fd;		   /* to wait on; non-blocking */
	uint64_t features; /* offloads of virtio-net that it can do */
	size_t next;   /* length of the next frame, with header; 0: unknown */
	size_t unsent; /* bytes of a frame that fd has not taken yet */
	bool gone;     /* the other end is; that does not heal */
};
