#include "tests/mock_device.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"

static struct mock_device *from_dev(struct virtio_device *dev)
{
	return container_of(dev, struct mock_device, dev);
}

static int activate(struct virtio_device *dev)
{
	from_dev(dev)->activations++;
	return from_dev(dev)->activate_result;
}

static void drain(struct mock_device *mock, struct virtqueue *vq)
{
	struct chain chain;

	while ((mock->pop_result = virtqueue_pop(vq, &chain)) > 0) {
		const struct iovec *in = &chain.iov[chain.out_count];
		uint32_t written = 0;

		for (unsigned i = 0; i < chain.in_count; i++) {
			if (in[i].iov_len > 4096)
				continue;
			memset(in[i].iov_base, 0xa5, in[i].iov_len);
			written += (uint32_t)in[i].iov_len;
		}
		virtqueue_push(vq, chain.head, written);
		/* a fuzzer's ring may never run dry */
		if (++mock->drained % 4096 == 0)
			break;
	}
}

static void notify(struct virtio_device *dev, unsigned queue)
{
	struct mock_device *mock = from_dev(dev);

	mock->notifications++;
	mock->last_queue = queue;
	if (!mock->drain)
		return;
	drain(mock, &dev->queues[queue]);
	if (mock->pop_result < 0)
		virtio_device_broken(dev, "mock");
	virtio_device_interrupt(dev, queue);
}

static void queue_stop(struct virtio_device *dev, unsigned queue)
{
	from_dev(dev)->stops |= 1u << queue;
}

static void config_read(struct virtio_device *dev, size_t offset, size_t size)
{
	struct mock_device *mock = from_dev(dev);

	assert(size && offset < MOCK_CONFIG && size <= MOCK_CONFIG - offset);
	mock->config_reads++;
}

static void config_write(struct virtio_device *dev, size_t offset,
			 const void *data, size_t size)
{
	memcpy(from_dev(dev)->config + offset, data, size);
	from_dev(dev)->config_writes++;
}

static int kick_fd(struct virtio_device *dev, unsigned queue)
{
	(void)queue;
	return from_dev(dev)->kick_fd;
}

static void quiesce(struct virtio_device *dev)
{
	from_dev(dev)->quiesces++;
}

static int resume(struct virtio_device *dev)
{
	from_dev(dev)->resumes++;
	return from_dev(dev)->resume_result;
}

static bool state_valid(struct virtio_device *dev, const void *state)
{
	(void)dev;
	return ((const struct mock_state *)state)->value != MOCK_STATE_BAD;
}

static const struct virtio_device_ops mock_ops = {
	.name = "mock",
	.device_id = 42,
	MOCK_SIZES,
	.activate = activate,
	.notify = notify,
	.queue_stop = queue_stop,
	.config_read = config_read,
	.config_write = config_write,
	.kick_fd = kick_fd,
	.quiesce = quiesce,
	.resume = resume,
	.state_valid = state_valid,
};

struct mock_device *mock_create_as(const struct virtio_device_ops *ops,
				   const struct guest_mem *mem,
				   struct event_loop *loop)
{
	struct error err;
	struct virtio_device *dev = virtio_device_create(
		ops, mem, loop, 1ULL << MOCK_FEATURE, 2, &err);
	struct mock_device *mock;

	if (!dev)
		abort();
	mock = from_dev(dev);
	for (unsigned i = 0; i < MOCK_CONFIG; i++)
		mock->config[i] = (uint8_t)(i + 1);
	dev->config = mock->config;
	dev->config_size = MOCK_CONFIG;
	dev->state = &mock->state;
	dev->state_size = sizeof(mock->state);
	mock->kick_fd = -1;
	mock->drain = true;
	return mock;
}

struct mock_device *mock_create(const struct guest_mem *mem,
				struct event_loop *loop)
{
	return mock_create_as(&mock_ops, mem, loop);
}
