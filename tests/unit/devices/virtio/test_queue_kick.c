/* Kicks that arrive in the event loop. */
#include "tests/unit/devices/virtio/virtio_mmio_fixture.h"

#include <sys/eventfd.h>

static void again_notifies_from_the_event_loop(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	virtio_device_again(&f->mock->dev, 1);
	assert_int_equal(f->mock->notifications, 0);
	fake_run_loop(&f->d);
	assert_int_equal(f->mock->notifications, 1);
	fake_run_loop(&f->d);
	assert_int_equal(f->mock->notifications, 1);
	virtio_device_again(&f->mock->dev, 1);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	fake_run_loop(&f->d);
	assert_int_equal(f->mock->notifications, 1);
}

struct kicks {
	int fds[2];
	int result;
	unsigned attached, detached;
};

static int kick_attach(void *ctx, uint64_t addr, uint32_t datum, int fd)
{
	struct kicks *kicks = ctx;

	assert_int_equal(addr, FAKE_MMIO_BASE + VIRTIO_MMIO_QUEUE_NOTIFY);
	if (kicks->result)
		return kicks->result;
	kicks->fds[datum] = fd;
	kicks->attached++;
	return 0;
}

static void kick_detach(void *ctx, uint64_t addr, uint32_t datum, int fd)
{
	struct kicks *kicks = ctx;

	(void)addr;
	assert_int_equal(kicks->fds[datum], fd);
	kicks->detached++;
}

static const struct ioeventfd_ops ioeventfds = {
	.attach = kick_attach,
	.detach = kick_detach,
};

static void attach_with_kicks(struct fixture *f, struct kicks *kicks)
{
	struct virtio_mmio_config config = {
		.base = FAKE_MMIO_BASE,
		.irq = { .fd = f->d.irq_fd },
		.ioeventfds = &ioeventfds,
		.ioeventfd_ctx = kicks,
	};
	struct error err;

	virtio_mmio_destroy(f->d.mmio);
	f->d.mmio = virtio_mmio_create(&f->mock->dev, &config, &err);
	assert_non_null(f->d.mmio);
	f->d.bus.ranges[0].dev = f->d.mmio;
}

static void ioeventfds_live_from_driver_ok_to_reset(void **state)
{
	struct fixture *f = *state;
	struct kicks kicks = { 0 };
	uint64_t one = 1;

	attach_with_kicks(f, &kicks);
	fake_start(&f->d, 0, 8);
	assert_int_equal(kicks.attached, 2);
	assert_int_equal(write(kicks.fds[1], &one, 8), 8);
	fake_run_loop(&f->d);
	assert_int_equal(f->mock->notifications, 1);
	assert_int_equal(f->mock->last_queue, 1);
	assert_int_equal(write(kicks.fds[0], &one, 8), 8);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(kicks.detached, 2);
	fake_run_loop(&f->d);
	assert_int_equal(f->mock->notifications, 1);
}

static void without_ioeventfds_kicks_are_register_writes(void **state)
{
	struct fixture *f = *state;
	struct kicks kicks = { .result = -ENOSPC };

	attach_with_kicks(f, &kicks);
	fake_start(&f->d, 0, 8);
	assert_int_equal(kicks.detached, 0);
	fake_kick(&f->d, 0);
	assert_int_equal(f->mock->notifications, 1);
}

static void a_device_may_have_an_ioeventfd_of_its_own(void **state)
{
	struct fixture *f = *state;
	struct kicks kicks = { 0 };
	uint64_t one = 1;
	int fd = eventfd(0, EFD_NONBLOCK);

	f->mock->kick_fd = fd;
	attach_with_kicks(f, &kicks);
	fake_start(&f->d, 0, 8);
	assert_int_equal(kicks.attached, 2);
	assert_int_equal(kicks.fds[0], fd);
	assert_int_equal(write(fd, &one, 8), 8);
	fake_run_loop(&f->d);
	assert_int_equal(f->mock->notifications, 0);
	/* that there is more to do still comes through the loop */
	virtio_device_again(&f->mock->dev, 1);
	fake_run_loop(&f->d);
	assert_int_equal(f->mock->notifications, 1);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(kicks.detached, 2);
	/* and it is the device's to close */
	assert_int_equal(close(fd), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(again_notifies_from_the_event_loop),
		TEST(ioeventfds_live_from_driver_ok_to_reset),
		TEST(a_device_may_have_an_ioeventfd_of_its_own),
		TEST(without_ioeventfds_kicks_are_register_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
