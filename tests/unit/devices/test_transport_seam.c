/* Real devices behind a transport that is neither MMIO nor PCI: each interrupt
 * is that of the queue it belongs to.
 */
#include "tests/unit/unit.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/le_types.h"
#include "devices/block/virtio_blk.h"
#include "devices/net/net_tap.h"
#include "devices/net/virtio_net.h"
#include "devices/virtio_rng.h"
#include "tests/fake_driver.h"
#include "tests/sync_engine.h"

struct fixture {
	struct fake_driver d;
	struct mock_transport transport;
};

static int setup(void **state)
{
	static struct fixture f;

	fake_init(&f.d);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_fini(&f->d);
	return 0;
}

/* Nobody but this queue was interrupted, and it was once. */
static void expect_interrupt(struct fixture *f, unsigned queue)
{
	for (unsigned i = 0; i < f->d.dev->queue_count; i++)
		assert_int_equal(mock_transport_interrupts(&f->transport, i),
				 i == queue);
}

static void entropy(void **state)
{
	struct fixture *f = *state;
	struct error err;
	struct virtio_device *dev =
		virtio_rng_create(&f->d.mem, f->d.loop, &err);
	struct fake_buffer b = { fake_alloc(&f->d, 64, 64), 64 };
	uint32_t head, len;

	fake_attach_mock(&f->d, dev, &f->transport);
	fake_start(&f->d, 0, 8);
	/* served where the kick arrives, so that no eventfd is wanted */
	assert_int_equal(f->transport.attached, 0);
	fake_add(&f->d, 0, &b, 0, 1);
	fake_kick(&f->d, 0);
	assert_true(fake_get_used(&f->d, 0, &head, &len));
	assert_int_equal(len, 64);
	expect_interrupt(f, 0);
	fake_detach(&f->d);
	virtio_device_destroy(dev);
}

static void read_sector(struct fixture *f, unsigned queue)
{
	uint64_t at = fake_alloc(&f->d, 1024, 16);
	struct fake_buffer b[] = { { at, 16 },
				   { at + 16, 512 },
				   { at + 528, 1 } };
	le32_t type = le32(VIRTIO_BLK_T_IN);

	memset(fake_ptr(&f->d, at), 0, 16);
	memcpy(fake_ptr(&f->d, at), &type, sizeof(type));
	fake_add(&f->d, queue, b, 1, 2);
	fake_kick(&f->d, queue);
}

static void a_disk_with_two_queues(void **state)
{
	struct fixture *f = *state;
	const struct disk disk = { .fd = memfd_create("disk", 0),
				   .size = 4096,
				   .block_size = 512,
				   .mem_align = 1,
				   .topology = { .physical = 512 } };
	const struct virtio_blk_options options = {
		.disk = &disk,
		.queues = 2,
		.engine_create = sync_engine_create,
	};
	struct error err;
	struct virtio_device *dev =
		virtio_blk_create(&options, &f->d.mem, f->d.loop, &err);

	assert_int_equal(ftruncate(disk.fd, 4096), 0);
	fake_attach_mock(&f->d, dev, &f->transport);
	fake_start(&f->d, 0, 8);
	/* the engine's work ends in the event loop, for both at once */
	read_sector(f, 1);
	fake_run_loop(&f->d);
	expect_interrupt(f, 1);
	read_sector(f, 0);
	fake_run_loop(&f->d);
	expect_interrupt(f, 0);
	virtio_blk_resize(dev, 2048);
	assert_int_equal(f->transport.config_changes, 1);
	fake_detach(&f->d);
	virtio_device_destroy(dev);
	close(disk.fd);
}

static void a_network_card(void **state)
{
	struct fixture *f = *state;
	struct virtio_net_options options = { .pairs = 1 };
	struct net_tap tap;
	struct virtio_device *dev;
	struct error err;
	int fds[2];
	struct fake_buffer rx = { fake_alloc(&f->d, 2048, 64), 2048 };
	struct fake_buffer tx = { fake_alloc(&f->d, 128, 64), 128 };
	uint8_t frame[128] = { 0 };

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
	net_tap_init(&tap, fds[0]);
	options.backends[0] = &tap.backend;
	dev = virtio_net_create(&options, &f->d.mem, f->d.loop, &err);
	fake_attach_mock(&f->d, dev, &f->transport);
	fake_start(&f->d, 0, 8);
	assert_int_equal(f->transport.attached, 3);
	fake_add(&f->d, VIRTIO_NET_TX, &tx, 1, 0);
	fake_kick(&f->d, VIRTIO_NET_TX);
	expect_interrupt(f, VIRTIO_NET_TX);
	assert_int_equal(recv(fds[1], frame, sizeof(frame), 0), 128);
	fake_add(&f->d, VIRTIO_NET_RX, &rx, 0, 1);
	fake_kick(&f->d, VIRTIO_NET_RX);
	assert_int_equal(send(fds[1], frame, sizeof(frame), 0), 128);
	fake_run_loop(&f->d);
	expect_interrupt(f, VIRTIO_NET_RX);
	virtio_net_set_link(dev, false);
	assert_int_equal(f->transport.config_changes, 1);
	fake_detach(&f->d);
	assert_int_equal(f->transport.detached, 3);
	virtio_device_destroy(dev);
	net_tap_close(&tap);
	close(fds[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(entropy),
		TEST(a_disk_with_two_queues),
		TEST(a_network_card),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
