#include "devices/virtio_rng.h"

#include <linux/virtio_ids.h>
#include <sys/random.h>

#define QUEUE_SIZE 8
#define TURN_MAX 16 /* requests served before others have a turn */

/* Most bytes one request gets (5.4.6 leaves the amount to the device), so
 * that no guest makes this thread draw gigabytes. */
#define REQUEST_MAX 4096

/* Fills the device-writable part of the chain; returns the bytes written. */
static uint32_t fill(const struct chain *chain)
{
	const struct iovec *iov = chain->iov + chain->out_count;
	uint32_t total = 0;

	for (unsigned i = 0; i < chain->in_count && total < REQUEST_MAX; i++) {
		size_t want = iov[i].iov_len;
		ssize_t got;

		if (want > REQUEST_MAX - total)
			want = REQUEST_MAX - total;
		got = getrandom(iov[i].iov_base, want, GRND_NONBLOCK);
		if (got < 0)
			break;
		total += (uint32_t)got;
		if ((size_t)got < want)
			break;
	}
	return total;
}

static int serve_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct chain chain;
	int ret = virtqueue_pop(vq, &chain);

	(void)dev;
	if (ret > 0)
		virtqueue_push(vq, chain.head, fill(&chain));
	return ret;
}

static void notify(struct virtio_device *dev, unsigned queue)
{
	virtio_device_serve(dev, queue, TURN_MAX, serve_next);
}

static const struct virtio_device_ops rng_ops = {
	.name = "rng",
	.device_id = VIRTIO_ID_RNG,
	.size = sizeof(struct virtio_device),
	.queue_size = QUEUE_SIZE,
	.notify = notify,
	.kick_inline = true,
};

struct virtio_device *virtio_rng_create(const struct guest_mem *mem,
					struct event_loop *loop,
					struct error *err)
{
	return virtio_device_create(&rng_ops, mem, loop, 0, 1, err);
}
