#include "devices/net/net_rx_window.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <stddef.h>
#include <string.h>

#include "base/iov.h"
#include "base/le_types.h"

void net_rx_window_clear(struct net_rx_window *window)
{
	window->count = 0;
	window->iov_count = 0;
	window->capacity = 0;
	window->full = false;
}

void net_rx_window_give_back(struct net_rx_window *window, struct virtqueue *vq)
{
	for (unsigned i = 0; i < window->count; i++)
		virtqueue_unpop(vq);
	net_rx_window_clear(window);
}

/* Adds the chain to the window, or puts it back into the ring. */
static int add_chain(struct net_rx_window *window, struct virtqueue *vq,
		     const struct chain *chain)
{
	size_t bytes = iov_length(chain->iov, chain->in_count);

	/* 5.1.6.3.1: writable, and with room for the header */
	if (chain->out_count || bytes < sizeof(struct virtio_net_hdr_v1)) {
		virtqueue_push(vq, chain->head, 0);
		return -EPROTO;
	}
	if (window->iov_count + chain->in_count > RX_IOV_MAX) {
		virtqueue_unpop(vq);
		window->full = true;
		return 0;
	}
	memcpy(&window->iov[window->iov_count], chain->iov,
	       chain->in_count * sizeof(chain->iov[0]));
	window->buffers[window->count++] = (struct rx_buffer){
		.head = chain->head,
		.iov_count = chain->in_count,
		.bytes = bytes,
	};
	window->iov_count += chain->in_count;
	window->capacity += bytes;
	return 0;
}

int net_rx_window_fill(struct net_rx_window *window, struct virtqueue *vq,
		       size_t bytes)
{
	struct chain chain;
	int ret;

	while (!window->count || window->capacity < bytes) {
		if (window->count == RX_BUFFERS_MAX)
			window->full = true;
		if (window->full)
			return 0;
		virtqueue_kicks_disable(vq);
		ret = virtqueue_pop(vq, &chain);
		if (ret == 0 && virtqueue_kicks_enable(vq))
			continue;
		if (ret <= 0)
			return ret;
		ret = add_chain(window, vq, &chain);
		if (ret)
			return ret;
	}
	return 0;
}

void net_rx_window_use(struct net_rx_window *window, struct virtqueue *vq,
		       size_t len)
{
	struct iov_cursor cursor = iov_cursor(window->iov, window->iov_count);
	unsigned used = 0, iovs = 0;
	size_t left = len;
	le16_t num_buffers;

	while (left) {
		const struct rx_buffer *buffer = &window->buffers[used++];
		size_t piece = left < buffer->bytes ? left : buffer->bytes;

		virtqueue_put(vq, buffer->head, (uint32_t)piece);
		window->capacity -= buffer->bytes;
		iovs += buffer->iov_count;
		left -= piece;
	}
	num_buffers = le16((uint16_t)used);
	iov_skip(&cursor, offsetof(struct virtio_net_hdr_v1, num_buffers));
	iov_write(&cursor, &num_buffers, sizeof(num_buffers));
	virtqueue_publish(vq);

	window->count -= used;
	window->iov_count -= iovs;
	window->full = false;
	memmove(window->buffers, window->buffers + used,
		window->count * sizeof(window->buffers[0]));
	memmove(window->iov, window->iov + iovs,
		window->iov_count * sizeof(window->iov[0]));
}
