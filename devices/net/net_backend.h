/* What stands behind one queue pair of virtio-net: the other end of the wire.
 *
 * The device gives and takes frames with the 12-byte header of virtio 1.2,
 * 5.1.6, in front. The back end converts them to the format of its descriptor.
 * It is embedded in its owner's struct and outlives the device, so that the
 * rest of a frame survives a reset or reboot of the guest. No function waits.
 * All are called under the device's mutex.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "devices/virtio/virtqueue.h"

/* Segmentation of UDP (5.1.3), which older versions of linux/virtio_net.h do
 * not know. */
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
	/* Reads ahead until `next` is known. False while no whole frame has
	 * come. NULL for a back end that learns a frame's length only when it
	 * receives the frame. */
	bool (*fetch)(struct net_backend *backend);

	/* Puts the next frame into iov[0 .. count), which have room for
	 * capacity bytes. It may use iov[count], but leaves it as it was.
	 * Returns the frame's length with header, or -1 when there is no frame.
	 * A frame that is longer than capacity is lost. */
	ssize_t (*receive)(struct net_backend *backend, struct iovec *iov,
			   unsigned count, size_t capacity);

	/* Sends a frame of NET_FRAME_MIN to NET_FRAME_MAX bytes, and its
	 * header, out of at most CHAIN_IOV_MAX buffers. A frame that the other
	 * end refuses is lost, as on a wire. False when the frame has to wait
	 * until fd is writable. */
	bool (*send)(struct net_backend *backend, const struct iovec *iov,
		     unsigned count);

	/* Sends more of the `unsent` bytes of a frame. NULL for a back end that
	 * never sends a part of one. */
	void (*flush)(struct net_backend *backend);

	/* Where several back ends are one wire: has frames come to this one, or
	 * not. While they do not, frames that it sends are lost. 0 or -errno.
	 * NULL: frames always come. */
	int (*set_active)(struct net_backend *backend, bool active);

	/* Says which offloads the driver can receive: VIRTIO_NET_F_GUEST_* out
	 * of `features`. 0 or -errno. NULL: frames never have any. */
	int (*set_offloads)(struct net_backend *backend, uint64_t features);
};

struct net_backend {
	const struct net_backend_ops *ops;
	const char *name;  /* in messages: "the tap" */
	int fd;		   /* to wait on; non-blocking */
	uint64_t features; /* offloads of virtio-net that it can do */
	size_t next;   /* length of the next frame, with header; 0: unknown */
	size_t unsent; /* bytes of a frame that fd has not taken yet */
	bool gone;     /* the other end is gone, for good */
};
