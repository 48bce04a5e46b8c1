#include "devices/virtio/queue_kick.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/log.h"
#include "base/wake.h"
#include "devices/virtio/virtio_device.h"

static void kick_ready(struct event_source *source, uint32_t events)
{
	struct queue_kick *kick =
		container_of(source, struct queue_kick, source);

	(void)events;
	if (wake_take(source->fd))
		virtio_device_notify(kick->dev, kick->queue);
}

int queue_kick_open(struct queue_kick *kick, struct virtio_device *dev,
		    unsigned queue)
{
	int ret;

	*kick = (struct queue_kick){
		.source = { .fd = wake_open(),
			    .ready = kick_ready,
			    .lock = &dev->lock },
		.dev = dev,
		.queue = queue,
		.attached = -1,
	};
	if (kick->source.fd < 0)
		return -errno;
	ret = event_loop_add(dev->loop, &kick->source, EPOLLIN);
	if (ret)
		queue_kick_close(kick);
	return ret;
}

void queue_kick_close(struct queue_kick *kick)
{
	if (kick->source.fd < 0)
		return;
	event_loop_remove(kick->dev->loop, &kick->source);
	close(kick->source.fd);
	kick->source.fd = -1;
}

void queue_kick_attach(struct queue_kick *kick)
{
	struct virtio_device *dev = kick->dev;
	int ret, fd = -1;

	if (kick->attached >= 0)
		return;
	if (dev->ops->kick_fd)
		fd = dev->ops->kick_fd(dev, kick->queue);
	if (fd < 0)
		fd = kick->source.fd;
	ret = dev->transport_ops->attach_kick(dev->transport, kick->queue, fd);
	if (ret == 0)
		kick->attached = fd;
	else
		log_guest(LOG_WARN, "virtio: no ioeventfd: %s", strerror(-ret));
}

static void detach(struct queue_kick *kick)
{
	struct virtio_device *dev = kick->dev;

	dev->transport_ops->detach_kick(dev->transport, kick->queue,
					kick->attached);
	kick->attached = -1;
}

void queue_kick_move(struct queue_kick *kick)
{
	if (kick->attached < 0)
		return;
	detach(kick);
	queue_kick_attach(kick);
}

void queue_kick_stop(struct queue_kick *kick)
{
	if (kick->attached >= 0)
		detach(kick);
	wake_take(kick->source.fd);
}
