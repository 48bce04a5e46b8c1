#include "devices/virtio/queue_kick.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/log.h"
#include "base/wake.h"

static void kick_ready(struct event_source *source, uint32_t events)
{
	struct queue_kick *kick =
		container_of(source, struct queue_kick, source);
	uint64_t count;

	(void)events;
	if (read(source->fd, &count, sizeof(count)) == sizeof(count))
		virtio_device_notify(kick->dev, kick->queue);
}

void queue_kick_init(struct queue_kick *kick, struct virtio_device *dev,
		     unsigned queue)
{
	*kick = (struct queue_kick){
		.source = { .fd = -1, .ready = kick_ready, .lock = &dev->lock },
		.dev = dev,
		.queue = queue,
	};
}

static int kick_open(struct queue_kick *kick)
{
	int ret;

	if (kick->source.fd >= 0)
		return 0;
	kick->source.fd = wake_open();
	if (kick->source.fd < 0)
		return -errno;
	ret = event_loop_add(kick->dev->loop, &kick->source, EPOLLIN);
	if (ret)
		queue_kick_close(kick);
	return ret;
}

void queue_kick_attach(struct queue_kick *kick,
		       const struct virtio_kick_ops *ops, void *ctx,
		       uint64_t addr, int fd)
{
	int ret = fd < 0 ? kick_open(kick) : 0;

	kick->fd = fd < 0 ? kick->source.fd : fd;
	if (ret == 0)
		ret = ops->attach(ctx, addr, kick->queue, kick->fd);
	if (ret) {
		log_guest(LOG_WARN, "virtio: no ioeventfd: %s", strerror(-ret));
		queue_kick_close(kick);
		return;
	}
	kick->ops = ops;
	kick->ctx = ctx;
	kick->addr = addr;
}

static void detach(struct queue_kick *kick)
{
	if (kick->ops)
		kick->ops->detach(kick->ctx, kick->addr, kick->queue, kick->fd);
	kick->ops = NULL;
}

void queue_kick_move(struct queue_kick *kick, int fd)
{
	const struct virtio_kick_ops *ops = kick->ops;

	if (!ops)
		return;
	detach(kick);
	queue_kick_attach(kick, ops, kick->ctx, kick->addr, fd);
}

bool queue_kick_again(struct queue_kick *kick)
{
	uint64_t one = 1;

	return kick_open(kick) == 0 &&
	       write(kick->source.fd, &one, sizeof(one)) == sizeof(one);
}

void queue_kick_close(struct queue_kick *kick)
{
	detach(kick);
	if (kick->source.fd < 0)
		return;
	event_loop_remove(kick->dev->loop, &kick->source);
	close(kick->source.fd);
	kick->source.fd = -1;
}
