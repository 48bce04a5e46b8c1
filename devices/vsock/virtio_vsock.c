#include "devices/vsock/virtio_vsock.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <string.h>

#include "base/container_of.h"
#include "base/iov.h"
#include "base/le_types.h"
#include "devices/vsock/vsock_mux.h"
#include "devices/vsock/vsock_packet.h"

#define HEADER sizeof(struct vsock_header)
#define F_STREAM 0 /* 5.10.3 */

/* The cost of what is served before other devices have a turn. A packet costs
 * 1, and each KiB of its payload costs 1 more. */
#define TURN_MAX 1024
#define COST(len) (1 + (len) / 1024)

/* State saved in a snapshot. Connections are not part of it. */
struct virtio_vsock_state {
	uint32_t reset_due; /* not 0: the driver does not know yet that all
			     * connections have ended */
	uint32_t pad;
};
static_assert(sizeof(struct virtio_vsock_state) == 8, "saved in snapshots");

struct virtio_vsock {
	struct virtio_device dev;
	struct virtio_vsock_config config;
	struct virtio_vsock_state state;
	struct vsock_mux *mux;
	bool tx_blocked; /* the mux has no room for an answer to a packet */
};

static struct virtio_vsock *from_dev(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_vsock, dev);
}

/* --- rx: packets for the guest --- */

static int rx_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct vsock_mux *mux = from_dev(dev)->mux;
	struct vsock_packet packet;
	struct vsock_header header;
	struct iov_cursor start, payload;
	struct chain chain;
	int ret;

	if (!vsock_mux_has_packet(mux))
		return -EAGAIN;
	ret = virtqueue_pop(vq, &chain);
	if (ret <= 0)
		return ret;
	start = payload = iov_cursor(chain.iov, chain.in_count);
	/* 5.10.6.4: all buffers are writable. They must also have room for
	 * some payload, without which a connection could never go on. */
	if (chain.out_count ||
	    iov_length(chain.iov, chain.in_count) <= HEADER) {
		virtqueue_push(vq, chain.head, 0);
		return -EPROTO;
	}
	iov_skip(&payload, HEADER);
	if (!vsock_mux_next(mux, &packet, payload)) {
		virtqueue_unpop(vq);
		return -EAGAIN;
	}
	header = vsock_packet_encode(&packet);
	iov_write(&start, &header, HEADER);
	virtqueue_push(vq, chain.head, HEADER + packet.len);
	return (int)COST(packet.len);
}

/* --- tx: packets from the guest --- */

static int tx_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct virtio_vsock *vsock = from_dev(dev);
	struct vsock_header header;
	struct vsock_packet packet;
	struct iov_cursor cursor;
	struct chain chain;
	size_t len;
	int ret;

	if (!vsock_mux_may_receive(vsock->mux)) {
		vsock->tx_blocked = true;
		return -EAGAIN;
	}
	ret = virtqueue_pop(vq, &chain);
	if (ret <= 0)
		return ret;
	len = iov_length(chain.iov, chain.out_count);
	cursor = iov_cursor(chain.iov, chain.out_count);
	if (chain.in_count || iov_read(&cursor, &header, HEADER) != HEADER)
		goto broken;
	packet = vsock_packet_decode(&header);
	if (packet.len > len - HEADER)
		goto broken;
	vsock_mux_receive(vsock->mux, &packet, &cursor);
	virtqueue_push(vq, chain.head, 0);
	return (int)COST(packet.len);
broken:
	virtqueue_push(vq, chain.head, 0);
	return -EPROTO;
}

/* --- events --- */

/* 5.10.6.7: tells the driver that all connections have ended. */
static int event_next(struct virtio_device *dev, struct virtqueue *vq)
{
	const le32_t event = le32(VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
	struct virtio_vsock *vsock = from_dev(dev);
	struct iov_cursor cursor;
	struct chain chain;
	size_t done = 0;
	int ret;

	if (!vsock->state.reset_due)
		return -EAGAIN;
	ret = virtqueue_pop(vq, &chain);
	if (ret <= 0)
		return ret;
	cursor = iov_cursor(chain.iov, chain.in_count);
	if (!chain.out_count)
		done = iov_write(&cursor, &event, sizeof(event));
	virtqueue_push(vq, chain.head, (uint32_t)done);
	if (done < sizeof(event))
		return -EPROTO;
	vsock->state.reset_due = 0;
	return 1;
}

/* --- all --- */

static void serve_queue(struct virtio_vsock *vsock, unsigned queue)
{
	static int (*const next[])(struct virtio_device *,
				   struct virtqueue *) = {
		[VIRTIO_VSOCK_RX] = rx_next,
		[VIRTIO_VSOCK_TX] = tx_next,
		[VIRTIO_VSOCK_EVENT] = event_next,
	};
	struct virtio_device *dev = &vsock->dev;

	if (!virtio_device_up(dev) || !dev->queues[queue].state.ready)
		return;
	virtio_device_serve(dev, queue, TURN_MAX, next[queue]);
	/* a device that the driver has broken stays so until a reset */
	if (!virtio_device_up(dev))
		vsock_mux_stop(vsock->mux);
}

/* Gives the guest its packets. That may make room for answers, so that packets
 * from the guest can be served again. They are served in a later turn, because
 * a driver may fill both rings without end. */
static void serve(void *ctx)
{
	struct virtio_vsock *vsock = ctx;

	serve_queue(vsock, VIRTIO_VSOCK_RX);
	if (vsock->tx_blocked && vsock_mux_may_receive(vsock->mux)) {
		vsock->tx_blocked = false;
		virtio_device_again(&vsock->dev, VIRTIO_VSOCK_TX);
	}
}

static void notify(struct virtio_device *dev, unsigned queue)
{
	struct virtio_vsock *vsock = from_dev(dev);

	if (queue == VIRTIO_VSOCK_TX && !vsock->tx_blocked)
		serve_queue(vsock, queue);
	if (queue == VIRTIO_VSOCK_EVENT)
		serve_queue(vsock, queue);
	else
		serve(vsock);
}

static int activate(struct virtio_device *dev)
{
	struct virtio_vsock *vsock = from_dev(dev);

	if (dev->queues[VIRTIO_VSOCK_RX].state.ready &&
	    dev->queues[VIRTIO_VSOCK_TX].state.ready)
		vsock_mux_start(vsock->mux);
	return 0;
}

static void queue_stop(struct virtio_device *dev, unsigned queue)
{
	struct virtio_vsock *vsock = from_dev(dev);

	vsock->state.reset_due = 0;
	if (queue == VIRTIO_VSOCK_EVENT)
		return;
	vsock_mux_stop(vsock->mux);
	vsock->tx_blocked = false;
}

/* A loaded state comes from another device, whose connections have ended. */
static int resume(struct virtio_device *dev)
{
	if (!dev->loaded || !virtio_device_up(dev))
		return 0;
	from_dev(dev)->state.reset_due = 1;
	return activate(dev);
}

static void destroy(struct virtio_device *dev)
{
	vsock_mux_destroy(from_dev(dev)->mux);
}

static const struct virtio_device_ops vsock_ops = {
	.name = "vsock",
	.device_id = VIRTIO_ID_VSOCK,
	.size = sizeof(struct virtio_vsock),
	.queue_size = VIRTIO_VSOCK_QUEUE_SIZE,
	.activate = activate,
	.notify = notify,
	.queue_stop = queue_stop,
	.resume = resume,
	.destroy = destroy,
};

struct virtio_device *
virtio_vsock_create(const struct virtio_vsock_options *options,
		    const struct guest_mem *mem, struct event_loop *loop,
		    struct error *err)
{
	struct vsock_mux_options mux_options = {
		.host = *options,
		.loop = loop,
		.wake = serve,
	};
	struct virtio_device *dev = virtio_device_create(
		&vsock_ops, mem, loop, 1ULL << F_STREAM, 3, err);
	le64_t cid = le64(options->guest_cid);
	struct virtio_vsock *vsock;

	if (!dev)
		return NULL;
	vsock = from_dev(dev);
	memcpy(&vsock->config.guest_cid, &cid, sizeof(cid));
	dev->config = &vsock->config;
	dev->config_size = sizeof(vsock->config);
	dev->state = &vsock->state;
	dev->state_size = sizeof(vsock->state);
	mux_options.lock = &dev->lock;
	mux_options.ctx = vsock;
	vsock->mux = vsock_mux_create(&mux_options, err);
	if (vsock->mux)
		return dev;
	virtio_device_destroy(dev);
	return NULL;
}
