#include "tests/mock_transport.h"

#include <assert.h>

#include "devices/virtio/virtio_negotiation.h"

static void interrupt(void *transport, unsigned queue)
{
	((struct mock_transport *)transport)->interrupts[queue]++;
}

static void config_changed(void *transport)
{
	((struct mock_transport *)transport)->config_changes++;
}

static int attach_kick(void *transport, unsigned queue, int fd)
{
	struct mock_transport *mock = transport;

	assert(mock->kicks[queue] == -1 && fd >= 0);
	if (mock->attach_result)
		return mock->attach_result;
	mock->kicks[queue] = fd;
	mock->attached++;
	return 0;
}

static void detach_kick(void *transport, unsigned queue, int fd)
{
	struct mock_transport *mock = transport;

	assert(mock->kicks[queue] == fd);
	mock->kicks[queue] = -1;
	mock->detached++;
}

static const struct virtio_transport_ops ops = {
	.interrupt = interrupt,
	.config_changed = config_changed,
	.attach_kick = attach_kick,
	.detach_kick = detach_kick,
};

void mock_transport_attach(struct mock_transport *transport,
			   struct virtio_device *dev)
{
	*transport = (struct mock_transport){ 0 };
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		transport->kicks[i] = -1;
	virtio_device_attach(dev, &ops, transport);
}

unsigned mock_transport_interrupts(struct mock_transport *transport,
				   unsigned queue)
{
	unsigned count = transport->interrupts[queue];

	transport->interrupts[queue] = 0;
	return count;
}
