/* Receive buffers of virtio-net that are ready for the next frame.
 *
 * A frame's length is known only once it has been read, and with mergeable
 * buffers it may fill dozens of them. So buffers are popped ahead into this
 * window and frames are read into all of it; the buffers that a frame did not
 * reach stay for the next one. Under the device's lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "devices/virtio/virtqueue.h"

#define RX_BUFFERS_MAX 64
#define RX_IOV_MAX (2 * CHAIN_IOV_MAX)

struct rx_buffer {
	uint16_t head;
	uint16_t iov_count;
	size_t bytes;
};

struct net_rx_window {
	unsigned count;
	unsigned iov_count;
	size_t capacity; /* bytes in all buffers */
	bool full;	 /* the last pop found no room */
	struct rx_buffer buffers[RX_BUFFERS_MAX];
	struct iovec iov[RX_IOV_MAX + 1]; /* one more, for ops->receive() */
};

/* Empties the window. give_back also puts the buffers back into the ring, from
 * which no other chain has been popped since. */
void net_rx_window_clear(struct net_rx_window *window);
void net_rx_window_give_back(struct net_rx_window *window,
			     struct virtqueue *vq);

/* Pops buffers until the window holds one or more with room for `bytes`, until
 * it is full, or until the ring is empty. 0, or -EPROTO when the ring or a
 * buffer is broken. */
int net_rx_window_fill(struct net_rx_window *window, struct virtqueue *vq,
		       size_t bytes);

/* Gives the buffers back that a frame of len bytes, at most capacity, has
 * filled, and writes their number into its header (5.1.6.4). */
void net_rx_window_use(struct net_rx_window *window, struct virtqueue *vq,
		       size_t len);
