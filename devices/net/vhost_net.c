#include "devices/net/vhost_net.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/container_of.h"
#include "base/log.h"
#include "base/wake.h"
#include "devices/net/net_config.h"

#define QUEUES 2 /* receive and transmit, 5.1.2 */

#define BIT(feature) (1ULL << (feature))

/* Features that the kernel is asked for. The others that it offers are not part
 * of virtio 1, or are for migration. */
#define PASSED                                                    \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) | \
	 BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_NET_F_MRG_RXBUF))

struct vhost_net_queue {
	struct vhost_net *net;
	bool served; /* by the kernel */
	/* eventfds, -1 while the queue is stopped */
	int kick;
	struct event_source call, error;
};

struct vhost_net {
	struct virtio_device dev;
	struct virtio_net_config config;
	const struct vhost_kernel *kernel;
	struct net_backend *backend;
	struct vhost_net_queue queues[QUEUES];
};

static struct vhost_net *from_dev(struct virtio_device *dev)
{
	return container_of(dev, struct vhost_net, dev);
}

/* --- queues --- */

/* Has the kernel stop serving the queue. If it refuses, a later start fails as
 * well, so that no ring is ever served twice. */
static void take_back(struct vhost_net *net, unsigned queue)
{
	int ret;

	if (!net->queues[queue].served)
		return;
	net->queues[queue].served = false;
	ret = vhost_kernel_set_tap(net->kernel, queue, -1);
	if (ret)
		log_guest(LOG_ERROR, "vhost-net: queue %u does not stop: %s",
			  queue, strerror(-ret));
}

static void take_back_all(struct vhost_net *net)
{
	for (unsigned i = 0; i < QUEUES; i++)
		take_back(net, i);
}

/* The eventfd is edge-triggered and never read, which saves a system call. */
static void call_ready(struct event_source *source, uint32_t events)
{
	struct vhost_net_queue *q =
		container_of(source, struct vhost_net_queue, call);
	struct virtio_device *dev = &q->net->dev;

	(void)events;
	if (virtio_device_up(dev))
		virtio_device_interrupt_always(dev,
					       (unsigned)(q - q->net->queues));
}

/* Whether somebody has deleted the interface. */
static bool tap_is_gone(const struct vhost_net *net)
{
	struct pollfd tap = { .fd = net->backend->fd };

	return poll(&tap, 1, 0) > 0 && (tap.revents & POLLERR);
}

/* The kernel has found a broken ring. It would read the ring again at the next
 * kick, so the rings are taken back. There is nothing to read if the event
 * belongs to an earlier eventfd of the queue. */
static void error_ready(struct event_source *source, uint32_t events)
{
	struct vhost_net_queue *q =
		container_of(source, struct vhost_net_queue, error);
	struct vhost_net *net = q->net;

	(void)events;
	if (!wake_take(source->fd) || !virtio_device_up(&net->dev))
		return;
	take_back_all(net);
	virtio_device_broken(&net->dev, tap_is_gone(net)
						? "its tap is gone"
						: "bad ring or request");
}

static int open_queue(struct vhost_net_queue *q)
{
	struct event_loop *loop = q->net->dev.loop;
	int ret;

	q->kick = wake_open();
	q->call.fd = wake_open();
	q->error.fd = wake_open();
	if (q->kick < 0 || q->call.fd < 0 || q->error.fd < 0)
		return -errno;
	ret = event_loop_add(loop, &q->call, EPOLLIN | EPOLLET);
	return ret ? ret : event_loop_add(loop, &q->error, EPOLLIN);
}

static void close_queue(struct vhost_net_queue *q)
{
	struct event_loop *loop = q->net->dev.loop;

	event_loop_remove(loop, &q->call);
	event_loop_remove(loop, &q->error);
	cleanup_close(&q->kick);
	cleanup_close(&q->call.fd);
	cleanup_close(&q->error.fd);
}

static int hand_over(struct vhost_net *net, unsigned queue)
{
	const struct virtqueue *vq = &net->dev.queues[queue];
	struct vhost_net_queue *q = &net->queues[queue];
	int ret = q->kick < 0 ? open_queue(q) : 0;
	const struct vhost_kernel_eventfds eventfds = {
		.kick = q->kick,
		.call = q->call.fd,
		.error = q->error.fd,
	};

	if (ret == 0)
		ret = vhost_kernel_set_ring(net->kernel, queue, vq, &eventfds);
	if (ret == 0)
		ret = vhost_kernel_set_tap(net->kernel, queue,
					   net->backend->fd);
	if (ret)
		return ret;
	q->served = true;
	/* 3.1.1: buffers may be there already, for which no kick will come */
	wake(q->kick);
	return 0;
}

/* --- the driver --- */

static int start(struct vhost_net *net)
{
	struct virtio_device *dev = &net->dev;
	int ret = net->backend->ops->set_offloads(net->backend,
						  dev->driver_features);

	if (ret == 0)
		ret = vhost_kernel_set_features(net->kernel,
						dev->driver_features & PASSED);
	if (ret == 0)
		ret = vhost_kernel_set_memory(net->kernel, dev->mem);
	for (unsigned i = 0; i < QUEUES && ret == 0; i++)
		if (dev->queues[i].state.ready)
			ret = hand_over(net, i);
	return ret;
}

static int activate(struct virtio_device *dev)
{
	struct vhost_net *net = from_dev(dev);
	int ret = start(net);

	if (ret == 0)
		return 0;
	take_back_all(net);
	log_guest(LOG_WARN, "vhost-net: %s", strerror(-ret));
	return ret;
}

static void notify(struct virtio_device *dev, unsigned queue)
{
	wake(from_dev(dev)->queues[queue].kick);
}

static int kick_fd(struct virtio_device *dev, unsigned queue)
{
	return from_dev(dev)->queues[queue].kick;
}

static void queue_stop(struct virtio_device *dev, unsigned queue)
{
	struct vhost_net *net = from_dev(dev);

	take_back(net, queue);
	close_queue(&net->queues[queue]);
}

/* Takes the rings back and reads how far the kernel has come. Its last calls
 * may not have arrived, so the driver is interrupted in any case. */
static void quiesce(struct virtio_device *dev)
{
	struct vhost_net *net = from_dev(dev);

	for (unsigned i = 0; i < QUEUES; i++) {
		struct virtqueue *vq = &dev->queues[i];
		uint16_t base;

		if (!net->queues[i].served)
			continue;
		take_back(net, i);
		if (vhost_kernel_get_base(net->kernel, i, &base))
			virtio_device_broken(dev, "a ring does not come back");
		else
			virtqueue_seek(vq, base, virtqueue_used_idx(vq));
		virtio_device_interrupt_always(dev, i);
	}
}

static int resume(struct virtio_device *dev)
{
	return virtio_device_up(dev) ? activate(dev) : 0;
}

static const struct virtio_device_ops net_ops = {
	.name = "vhost-net",
	.device_id = VIRTIO_ID_NET,
	.size = sizeof(struct vhost_net),
	.queue_size = VHOST_NET_QUEUE_SIZE,
	.activate = activate,
	.notify = notify,
	.kick_fd = kick_fd,
	.queue_stop = queue_stop,
	.quiesce = quiesce,
	.resume = resume,
};

/* --- life --- */

static void init_config(struct vhost_net *net,
			const struct vhost_net_options *options)
{
	net_config_set(&net->config, options->mac, options->mtu);
	net_config_set_link(&net->config, true);
	net->dev.config = &net->config;
	net->dev.config_size = offsetof(struct virtio_net_config, speed);
}

static void init_queue(struct vhost_net *net, unsigned queue)
{
	net->queues[queue] = (struct vhost_net_queue){
		.net = net,
		.kick = -1,
		.call = { .fd = -1,
			  .ready = call_ready,
			  .lock = &net->dev.lock },
		.error = { .fd = -1,
			   .ready = error_ready,
			   .lock = &net->dev.lock },
	};
}

struct virtio_device *vhost_net_create(const struct vhost_net_options *options,
				       const struct guest_mem *mem,
				       struct event_loop *loop,
				       struct error *err)
{
	struct virtio_device *dev =
		virtio_device_create(&net_ops, mem, loop, 0, QUEUES, err);
	struct vhost_net *net;

	if (!dev)
		return NULL;
	net = from_dev(dev);
	net->kernel = options->kernel;
	net->backend = options->backend;
	dev->features = (options->kernel->features & PASSED) |
			options->backend->features |
			net_config_features(options->mtu);
	for (unsigned i = 0; i < QUEUES; i++)
		init_queue(net, i);
	init_config(net, options);
	return dev;
}
