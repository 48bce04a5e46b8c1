/* What a driver asks of a device, and a device of its transport, where that is
 * neither MMIO nor PCI.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/wake.h"
#include "devices/virtio/virtio_negotiation.h"
#include "tests/fake_driver.h"
#include "tests/mock_device.h"

struct fixture {
	struct fake_driver d;
	struct mock_device *mock;
	struct mock_transport transport;
};

static int setup(void **state)
{
	static struct fixture f;

	fake_init(&f.d);
	f.mock = mock_create(&f.d.mem, f.d.loop);
	fake_attach_mock(&f.d, &f.mock->dev, &f.transport);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	virtio_device_destroy(&f->mock->dev);
	fake_fini(&f->d);
	return 0;
}

static void add_one(struct fixture *f, unsigned queue)
{
	struct fake_buffer b = { fake_alloc(&f->d, 16, 16), 16 };

	fake_add(&f->d, queue, &b, 0, 1);
}

static void features_come_in_two_words(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *dev = &f->mock->dev;

	assert_int_equal(virtio_device_read_features(dev, 0),
			 (uint32_t)dev->features);
	assert_int_equal(virtio_device_read_features(dev, 1),
			 dev->features >> 32);
	assert_int_equal(virtio_device_read_features(dev, 2), 0);
	assert_int_equal(virtio_device_read_features(dev, UINT32_MAX), 0);
	virtio_device_write_features(dev, 0, 5);
	virtio_device_write_features(dev, 1, 7);
	virtio_device_write_features(dev, 2, 9);
	virtio_device_write_features(dev, UINT32_MAX, 9);
	assert_int_equal(dev->driver_features, 7ULL << 32 | 5);
}

static void each_step_of_the_status_needs_the_one_before(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *dev = &f->mock->dev;

	assert_false(fake_negotiate(&f->d, 1ULL << 50));
	fake_driver_ok(&f->d);
	assert_false(virtio_device_up(dev));
	assert_int_equal(f->mock->activations, 0);
	assert_true(fake_negotiate(&f->d, 1ULL << MOCK_FEATURE));
	virtio_device_write_features(dev, 0, 0);
	assert_true(virtio_has_feature(dev, MOCK_FEATURE));
	fake_driver_ok(&f->d);
	assert_true(virtio_device_up(dev));
	/* no bit is ever taken back but by a reset */
	virtio_device_write_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	fake_driver_ok(&f->d);
	assert_int_equal(f->mock->activations, 1);
	virtio_device_write_status(dev, 0);
	assert_int_equal(dev->status, 0);
	assert_int_equal(dev->driver_features, 0);
}

static void a_queue_has_a_layout_until_it_is_ready(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *dev = &f->mock->dev;

	assert_true(fake_negotiate(&f->d, 0));
	assert_non_null(virtio_device_queue_layout(dev, 1));
	assert_null(virtio_device_queue_layout(dev, 2));
	assert_null(virtio_device_queue(dev, UINT32_MAX));
	virtio_device_write_ready(dev, UINT32_MAX, true);
	fake_setup_queue(&f->d, 0, 8);
	assert_null(virtio_device_queue_layout(dev, 0));
	fake_driver_ok(&f->d);
	assert_null(virtio_device_queue_layout(dev, 1));
	virtio_device_write_ready(dev, 1, true);
	assert_false(dev->queues[1].state.ready);
	virtio_device_write_ready(dev, 0, false);
	assert_int_equal(f->mock->stops & 1, 1);
	assert_false(dev->queues[0].state.ready);
}

static void an_interrupt_is_one_queues(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	for (unsigned queue = 0; queue < 2; queue++) {
		add_one(f, queue);
		fake_kick(&f->d, queue);
		assert_int_equal(
			mock_transport_interrupts(&f->transport, queue), 1);
		assert_int_equal(
			mock_transport_interrupts(&f->transport, !queue), 0);
	}
	virtio_device_interrupt(&f->mock->dev, 0);
	assert_int_equal(mock_transport_interrupts(&f->transport, 0), 0);
	virtio_device_interrupt_always(&f->mock->dev, 0);
	assert_int_equal(mock_transport_interrupts(&f->transport, 0), 1);
}

static void the_generation_of_config_outlives_a_reset(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *dev = &f->mock->dev;

	/* 2.1.2: not a word before the driver is up */
	virtio_device_config_changed(dev);
	assert_int_equal(dev->config_generation, 1);
	assert_int_equal(f->transport.config_changes, 0);
	fake_start(&f->d, 0, 8);
	virtio_device_config_changed(dev);
	assert_int_equal(f->transport.config_changes, 1);
	virtio_device_write_status(dev, 0);
	assert_int_equal(dev->config_generation, 2);
}

static void a_broken_device_says_so_and_serves_nothing(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	virtio_device_broken(&f->mock->dev, "test");
	assert_true(fake_needs_reset(&f->d));
	assert_int_equal(f->transport.config_changes, 1);
	fake_kick(&f->d, 0);
	virtio_device_again(&f->mock->dev, 0);
	fake_run_loop(&f->d);
	assert_int_equal(f->mock->notifications, 0);
}

/* --- kicks --- */

static void kicks_are_attached_while_a_queue_runs(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	assert_int_equal(f->transport.attached, 2);
	wake(f->transport.kicks[1]);
	fake_run_loop(&f->d);
	assert_int_equal(f->mock->notifications, 1);
	assert_int_equal(f->mock->last_queue, 1);
	virtio_device_write_ready(&f->mock->dev, 1, false);
	assert_int_equal(f->transport.kicks[1], -1);
	assert_int_not_equal(f->transport.kicks[0], -1);
	/* a kick that was under way is not served after a reset and a start */
	wake(f->transport.kicks[0]);
	fake_start(&f->d, 0, 8);
	assert_int_equal(f->transport.detached, 2);
	fake_run_loop(&f->d);
	assert_int_equal(f->mock->notifications, 1);
}

static void kicks_follow_the_devices_own_eventfd(void **state)
{
	struct fixture *f = *state;
	int first = wake_open(), second = wake_open();

	f->mock->kick_fd = first;
	fake_start(&f->d, 0, 8);
	assert_int_equal(f->transport.kicks[0], first);
	f->mock->kick_fd = second;
	virtio_device_kick_fd_changed(&f->mock->dev, 0);
	assert_int_equal(f->transport.kicks[0], second);
	assert_int_equal(f->transport.kicks[1], first);
	virtio_device_write_status(&f->mock->dev, 0);
	virtio_device_kick_fd_changed(&f->mock->dev, 0);
	assert_int_equal(f->transport.kicks[0], -1);
	close(first);
	close(second);
}

static void without_eventfds_kicks_come_as_calls(void **state)
{
	struct fixture *f = *state;

	f->transport.attach_result = -ENOSPC;
	fake_start(&f->d, 0, 8);
	fake_kick(&f->d, 1);
	assert_int_equal(f->mock->notifications, 1);
	virtio_device_write_status(&f->mock->dev, 0);
	assert_int_equal(f->transport.detached, 0);
}

static int serve_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct mock_device *mock = container_of(dev, struct mock_device, dev);
	struct chain chain;
	int ret = virtqueue_pop(vq, &chain);

	if (ret <= 0)
		return ret;
	mock->drained++;
	virtqueue_push(vq, chain.head, 0);
	return 2;
}

static void serve(struct virtio_device *dev, unsigned queue)
{
	virtio_device_serve(dev, queue, 4, serve_next);
}

/* No turn is longer than it may be, and what is left has another one. */
static void a_turn_ends_and_another_one_follows(void **state)
{
	static const struct virtio_device_ops ops = { .notify = serve };
	struct fixture *f = *state;

	f->mock->dev.ops = &ops;
	fake_start(&f->d, 0, 8);
	for (unsigned i = 0; i < 5; i++)
		add_one(f, 0);
	fake_kick(&f->d, 0);
	assert_int_equal(f->mock->drained, 2);
	fake_run_loop(&f->d);
	assert_int_equal(f->mock->drained, 4);
	fake_run_loop(&f->d);
	assert_int_equal(f->mock->drained, 5);
	fake_run_loop(&f->d);
	assert_int_equal(mock_transport_interrupts(&f->transport, 0), 3);
}

static unsigned open_fds(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 100; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* All that a queue needs is opened with the device, or the device is not made
 * and leaves nothing open. */
static void a_device_without_descriptors_is_not_made(void **state)
{
	static const struct virtio_device_ops ops = {
		.name = "mock",
		.kick_inline = true,
		.batched = true,
		MOCK_SIZES,
	};
	struct fixture *f = *state;
	const unsigned before = open_fds();
	struct virtio_device *dev;
	struct rlimit old, tight;
	unsigned failures = 0;
	struct error err;

	getrlimit(RLIMIT_NOFILE, &old);
	tight = old;
	tight.rlim_cur = 3;
	do {
		setrlimit(RLIMIT_NOFILE, &tight);
		dev = virtio_device_create(&ops, &f->d.mem, f->d.loop, 0, 3,
					   &err);
		setrlimit(RLIMIT_NOFILE, &old);
		if (!dev)
			assert_string_equal(err.text,
					    "mock: Too many open files");
		assert_int_equal(open_fds(), before + (dev ? 6 : 0));
		tight.rlim_cur++;
		failures += !dev;
	} while (!dev);
	virtio_device_destroy(dev);
	assert_int_equal(open_fds(), before);
	assert_true(failures >= 6);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(features_come_in_two_words),
		TEST(each_step_of_the_status_needs_the_one_before),
		TEST(a_queue_has_a_layout_until_it_is_ready),
		TEST(an_interrupt_is_one_queues),
		TEST(the_generation_of_config_outlives_a_reset),
		TEST(a_broken_device_says_so_and_serves_nothing),
		TEST(kicks_are_attached_while_a_queue_runs),
		TEST(kicks_follow_the_devices_own_eventfd),
		TEST(without_eventfds_kicks_come_as_calls),
		TEST(a_turn_ends_and_another_one_follows),
		TEST(a_device_without_descriptors_is_not_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
