/* A mock device behind a virtio-mmio transport. */
#pragma once

#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

#include "tests/fake_driver.h"
#include "tests/mock_device.h"

struct fixture {
	struct fake_driver d;
	struct mock_device *mock;
};

static inline int setup_as(void **state, const struct virtio_device_ops *ops)
{
	static struct fixture f;

	fake_init(&f.d);
	if (ops)
		f.mock = mock_create_as(ops, &f.d.mem, f.d.loop);
	else
		f.mock = mock_create(&f.d.mem, f.d.loop);
	fake_attach(&f.d, &f.mock->dev);
	*state = &f;
	return 0;
}

static inline int setup(void **state)
{
	return setup_as(state, NULL);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	virtio_device_destroy(&f->mock->dev);
	fake_fini(&f->d);
	return 0;
}

static inline void add_one(struct fixture *f, unsigned queue)
{
	struct fake_buffer b = { fake_alloc(&f->d, 16, 16), 16 };

	fake_add(&f->d, queue, &b, 0, 1);
}
