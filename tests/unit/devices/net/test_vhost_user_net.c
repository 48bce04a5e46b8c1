/* A network device whose queues a back-end serves. */
#include "tests/unit/unit.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/net/vhost_user_net.h"
#include "devices/vhost_user/vhost_user_device.h"
#include "tests/fake_backend.h"
#include "tests/fake_driver.h"

#define TIMEOUT_MS 30000
#define ENTRIES 8
#define RX 0
#define TX 1
#define STATUS 6 /* in configuration space */

struct fixture {
	struct fake_driver d;
	struct fake_backend b;
	struct vhost_user *conn;
	struct virtio_device *dev;
};

static int setup(void **state)
{
	static struct fixture f;
	struct vhost_user_options options = {
		.kind = &vhost_user_net_kind,
		.name = "net3",
		.connect = fake_backend_connect,
		.ctx = &f.b,
		.timeout_ms = TIMEOUT_MS,
		.retry_ms = 10,
	};
	struct vhost_user_net_options net = {
		.mac = { 2, 1, 2, 3, 4, 5 },
		.mtu = 1400,
	};
	struct error err;

	memset(&f, 0, sizeof(f));
	fake_init(&f.d);
	fake_backend_init(&f.b);
	f.b.ram = f.d.ram;
	f.b.features = 1ULL << VIRTIO_F_VERSION_1 |
		       1ULL << VHOST_F_PROTOCOL_FEATURES |
		       1ULL << VIRTIO_NET_F_MRG_RXBUF |
		       1ULL << VIRTIO_NET_F_CTRL_VQ | 1ULL << VIRTIO_NET_F_MQ;
	f.b.protocol &= ~(1ULL << VHOST_PROTOCOL_F_CONFIG);
	f.b.queues = 2;
	fake_backend_listen(&f.b);
	options.fd = fake_backend_connect(&f.b, &err);
	f.conn = vhost_user_create(&options, &err);
	assert_non_null(f.conn);
	net.conn = f.conn;
	f.dev = vhost_user_net_create(&net, &f.d.mem, f.d.loop, &err);
	assert_non_null(f.dev);
	fake_attach(&f.d, f.dev);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	virtio_device_destroy(f->dev);
	vhost_user_destroy(f->conn);
	fake_backend_stop(&f->b);
	fake_fini(&f->d);
	return 0;
}

static void start(struct fixture *f)
{
	fake_start(&f->d,
		   1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_STATUS,
		   ENTRIES);
	fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, 2);
}

static void run_until_ready(struct fixture *f, bool ready)
{
	for (int i = 0; i < 30000 && vhost_user_is_ready(f->conn) != ready;
	     i++) {
		fake_run_loop(&f->d);
		usleep(1000);
	}
	assert_int_equal(vhost_user_is_ready(f->conn), ready);
}

static void die(struct fixture *f)
{
	fake_backend_stop(&f->b);
	run_until_ready(f, false);
}

static void come_back(struct fixture *f)
{
	fake_backend_listen(&f->b);
	run_until_ready(f, true);
	fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, 4);
}

static void give(struct fixture *f, unsigned queue)
{
	struct fake_buffer b = { fake_alloc(&f->d, 100, 16), 100 };

	fake_add(&f->d, queue, &b, queue == TX, queue == RX);
	fake_kick(&f->d, queue);
}

static void address_mtu_and_link_are_ours_to_tell(void **state)
{
	struct fixture *f = *state;
	uint32_t low;

	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_DEVICE_ID), 1);
	low = fake_read(&f->d, VIRTIO_MMIO_DEVICE_FEATURES);
	assert_int_equal(low, 1u << VIRTIO_NET_F_MAC |
				      1u << VIRTIO_NET_F_STATUS |
				      1u << VIRTIO_NET_F_MTU |
				      1u << VIRTIO_NET_F_MRG_RXBUF);
	assert_int_equal(fake_config(&f->d, 0, 4), 0x03020102);
	assert_int_equal(fake_config(&f->d, 4, 2), 0x0504);
	assert_int_equal(fake_config(&f->d, STATUS, 2), VIRTIO_NET_S_LINK_UP);
	assert_int_equal(fake_config(&f->d, 10, 2), 1400);
	start(f);
	/* and none of the back-end's business */
	assert_int_equal(f->b.features_set,
			 1ULL << VIRTIO_F_VERSION_1 |
				 1ULL << VHOST_F_PROTOCOL_FEATURES);
}

static void the_link_is_down_while_there_is_no_back_end(void **state)
{
	struct fixture *f = *state;

	start(f);
	die(f);
	assert_int_equal(fake_config(&f->d, STATUS, 2), 0);
	assert_true(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS) &
		    VIRTIO_MMIO_INT_CONFIG);
	fake_write(&f->d, VIRTIO_MMIO_INTERRUPT_ACK, 3);
	come_back(f);
	assert_int_equal(fake_config(&f->d, STATUS, 2), VIRTIO_NET_S_LINK_UP);
	assert_true(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS) &
		    VIRTIO_MMIO_INT_CONFIG);
}

static void what_is_sent_meanwhile_is_lost(void **state)
{
	struct fixture *f = *state;

	start(f);
	give(f, TX);
	give(f, TX);
	fake_backend_use(&f->b, TX, 0, 0);
	/* one was under way; its end comes with that of the back-end */
	die(f);
	assert_int_equal(fake_used_idx(&f->d, TX), 2);
	give(f, TX);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, TX), 3);
	come_back(f);
	assert_int_equal(f->b.rings[TX].base, 3);
}

static void buffers_to_receive_into_wait_for_the_next_one(void **state)
{
	struct fixture *f = *state;

	start(f);
	for (int i = 0; i < 5; i++)
		give(f, RX);
	fake_backend_use(&f->b, RX, 0, 20);
	fake_backend_use(&f->b, RX, 1, 20);
	die(f);
	assert_int_equal(fake_used_idx(&f->d, RX), 2);
	give(f, RX);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, RX), 2);
	come_back(f);
	/* the first that the last one has not used */
	assert_int_equal(f->b.rings[RX].base, 2);
	fake_backend_use(&f->b, RX, 2, 20);
	fake_interrupts(&f->d);
	fake_run_loop(&f->d);
	assert_int_equal(fake_interrupts(&f->d), 1);
}

/* Nobody follows its rings, and nobody has to. */
static void more_than_a_ring_without_a_look_is_no_matter(void **state)
{
	struct fixture *f = *state;

	start(f);
	for (int i = 0; i < 3 * ENTRIES; i++) {
		fake_make_available(&f->d, TX, 0);
		fake_backend_use(&f->b, TX, 0, 0);
	}
	die(f);
	assert_false(fake_needs_reset(&f->d));
	come_back(f);
	assert_int_equal(f->b.rings[TX].base, 3 * ENTRIES);
}

static void a_used_index_out_of_nowhere_breaks_the_device_alone(void **state)
{
	struct fixture *f = *state;
	uint8_t *used;

	start(f);
	used = fake_ptr(&f->d, f->d.queues[TX].used);
	used[2] = 200;
	die(f);
	assert_true(fake_needs_reset(&f->d));
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	assert_false(fake_needs_reset(&f->d));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(address_mtu_and_link_are_ours_to_tell),
		TEST(the_link_is_down_while_there_is_no_back_end),
		TEST(what_is_sent_meanwhile_is_lost),
		TEST(buffers_to_receive_into_wait_for_the_next_one),
		TEST(more_than_a_ring_without_a_look_is_no_matter),
		TEST(a_used_index_out_of_nowhere_breaks_the_device_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
