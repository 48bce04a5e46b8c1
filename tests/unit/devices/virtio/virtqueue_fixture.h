/* A queue of 8 entries on a mock device, with the fake driver as its ring
 * writer.
 */
#pragma once

#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "devices/virtio/virtqueue.h"
#include "tests/fake_driver.h"
#include "tests/mock_device.h"

/* The queue itself, with the fake driver as a ring writer: no transport. */
struct fixture {
	struct fake_driver d;
	struct mock_device *mock;
	struct virtqueue *vq;
	struct chain chain;
};

static inline int setup_with(void **state, uint64_t features)
{
	static struct fixture f;

	fake_init(&f.d);
	f.mock = mock_create(&f.d.mem, f.d.loop);
	f.mock->drain = false;
	fake_attach(&f.d, &f.mock->dev);
	fake_start(&f.d, features, 8);
	f.vq = &f.mock->dev.queues[0];
	*state = &f;
	return 0;
}

static inline int setup(void **state)
{
	return setup_with(state, 1ULL << VIRTIO_RING_F_INDIRECT_DESC);
}

static inline int setup_event_idx(void **state)
{
	return setup_with(state, 1ULL << VIRTIO_RING_F_EVENT_IDX);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	virtio_device_destroy(&f->mock->dev);
	fake_fini(&f->d);
	return 0;
}

static inline uint64_t buf(struct fixture *f, size_t size)
{
	return fake_alloc(&f->d, size, 16);
}

/* What one descriptor chain, written by hand at index 0, is popped as. */
static inline int pop_head(struct fixture *f, uint16_t head)
{
	fake_make_available(&f->d, 0, head);
	return virtqueue_pop(f->vq, &f->chain);
}

static inline void broken_for_good(struct fixture *f)
{
	assert_int_equal(virtqueue_pop(f->vq, &f->chain), -EPROTO);
	fake_set_avail_idx(&f->d, 0, f->vq->state.next_avail);
	assert_int_equal(virtqueue_pop(f->vq, &f->chain), -EPROTO);
	assert_false(virtqueue_kicks_enable(f->vq));
}
