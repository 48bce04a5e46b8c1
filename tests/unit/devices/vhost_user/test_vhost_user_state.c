/* A device whose queues a server serves is paused, or replaced by a fresh one:
 * a block device, here.
 */
#include "tests/unit/unit.h"

#include <linux/virtio_blk.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/block/vhost_user_blk.h"
#include "devices/vhost_user/vhost_user_device.h"
#include "devices/vhost_user_fs.h"
#include "devices/virtio/virtio_negotiation.h"
#include "devices/virtio/virtio_state.h"
#include "tests/fake_backend.h"
#include "tests/fake_driver.h"

#define LONG_MS 30000
#define SHORT_MS 2000
#define WCE offsetof(struct virtio_blk_config, wce)

struct fixture {
	struct fake_driver d;
	struct mock_transport transport;
	struct fake_backend b;
	struct vhost_user *conn;
	uint64_t saved[128];
	size_t size;
	uint64_t status; /* of requests, a byte for each head */
};

static void create(struct fixture *f)
{
	struct error err;
	struct virtio_device *dev =
		vhost_user_blk_create(f->conn, &f->d.mem, f->d.loop, &err);

	assert_non_null(dev);
	fake_attach_mock(&f->d, dev, &f->transport);
}

static int setup_with(void **state, unsigned timeout_ms)
{
	static struct fixture f;
	struct vhost_user_options options = {
		.kind = &vhost_user_blk_kind,
		.name = "disk7",
		.timeout_ms = timeout_ms,
	};
	struct error err;

	f = (struct fixture){ 0 };
	fake_init(&f.d);
	fake_backend_init(&f.b);
	f.b.ram = f.d.ram;
	options.fd = fake_backend_start(&f.b);
	f.conn = vhost_user_create(&options, &err);
	assert_non_null(f.conn);
	create(&f);
	*state = &f;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, LONG_MS);
}

static int setup_short(void **state)
{
	return setup_with(state, SHORT_MS);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	virtio_device_destroy(f->d.dev);
	vhost_user_destroy(f->conn);
	fake_backend_stop(&f->b);
	fake_fini(&f->d);
	return 0;
}

/* So many times has the server got a ring. */
static void wait_for_ring(struct fixture *f, unsigned count)
{
	fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, count);
	fake_run_loop(&f->d);
}

static void start(struct fixture *f, uint64_t features)
{
	fake_start(&f->d, features, 8);
	f->status = fake_alloc(&f->d, 16, 16);
	wait_for_ring(f, 1);
}

static uint16_t submit(struct fixture *f)
{
	uint16_t head = f->d.queues[0].next_desc;
	struct fake_buffer b[] = { { fake_alloc(&f->d, 16, 16), 16 },
				   { f->status + head, 1 } };

	*(uint8_t *)fake_ptr(&f->d, f->status + head) = 0xff;
	return fake_add(&f->d, 0, b, 1, 1);
}

/* The server takes and ends one of two requests. */
static void serve_one_of_two(struct fixture *f)
{
	uint16_t head = submit(f);

	submit(f);
	fake_backend_use(&f->b, 0, head, 1);
	f->b.rings[0].base = 1; /* what it would take next */
}

static void save(struct fixture *f)
{
	virtio_device_quiesce(f->d.dev);
	f->size = virtio_device_state_size(f->d.dev);
	assert_true(f->size <= sizeof(f->saved));
	virtio_device_save(f->d.dev, f->saved);
}

static void load_held(struct fixture *f)
{
	struct error err;

	fake_detach(&f->d);
	virtio_device_destroy(f->d.dev);
	create(f);
	assert_int_equal(virtio_device_load(f->d.dev, f->saved, f->size, &err),
			 0);
	assert_false(virtio_device_up(f->d.dev));
}

static void load(struct fixture *f)
{
	load_held(f);
	virtio_device_resume(f->d.dev);
}

static void expect_ring(struct fixture *f, uint16_t at)
{
	const struct virtqueue_state *s = &f->d.dev->queues[0].state;

	assert_int_equal(s->next_avail, at);
	assert_int_equal(s->next_used, at);
}

static void a_pause_takes_the_rings_back_and_goes_on_there(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	serve_one_of_two(f);
	virtio_device_quiesce(f->d.dev);
	assert_true(f->b.rings[0].stopped);
	expect_ring(f, 1);
	/* the call of what ended last may have got lost */
	assert_true(mock_transport_interrupts(&f->transport, 0) > 0);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, 0), 1);
	f->b.rings[0].base = 99;
	virtio_device_resume(f->d.dev);
	wait_for_ring(f, 2);
	assert_int_equal(f->b.rings[0].base, 1);
	assert_false(f->b.rings[0].stopped);
	assert_true(fake_backend_kicks(&f->b, 0) > 0);
	mock_transport_interrupts(&f->transport, 0);
	fake_backend_use(&f->b, 0, 2, 1);
	fake_run_loop(&f->d);
	assert_int_equal(mock_transport_interrupts(&f->transport, 0), 1);
	assert_false(fake_needs_reset(&f->d));
}

static void a_fresh_device_goes_on_there_as_well(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	serve_one_of_two(f);
	save(f);
	load(f);
	wait_for_ring(f, 2);
	assert_int_equal(f->b.rings[0].base, 1);
	assert_int_equal(f->b.rings[0].desc, f->d.queues[0].desc);
	assert_true(fake_backend_kicks(&f->b, 0) > 0);
	assert_false(fake_needs_reset(&f->d));
}

static void the_cache_mode_goes_along(void **state)
{
	struct fixture *f = *state;
	unsigned told = f->b.config[WCE];

	start(f, 1ULL << VIRTIO_BLK_F_CONFIG_WCE);
	virtio_device_write_config(f->d.dev, WCE, 1, told ^ 1);
	fake_backend_wait(&f->b, VHOST_SET_CONFIG_MSG, 1);
	save(f);
	load(f);
	fake_backend_wait(&f->b, VHOST_SET_CONFIG_MSG, 2);
	assert_int_equal(f->b.config_written.data[0], told ^ 1);
	assert_int_equal(virtio_device_read_config(f->d.dev, WCE, 1), told ^ 1);
	/* the rest is as the server has it */
	assert_int_equal(virtio_device_read_config(f->d.dev, 0, 1),
			 f->b.config[0]);
}

/* The server says that its configuration space has changed, and is asked for
 * it. */
static void server_changes_config(struct fixture *f)
{
	const struct vhost_msg_header changed = {
		.request = VHOST_BACKEND_CONFIG_CHANGE_MSG,
		.flags = VHOST_MSG_VERSION,
	};

	f->b.config[0] ^= 0xff;
	assert_int_equal(send(f->b.back_fd, &changed, sizeof(changed), 0),
			 sizeof(changed));
	for (int i = 0; i < 30000 &&
			vhost_user_offer(f->conn)->config[0] != f->b.config[0];
	     i++) {
		fake_run_loop(&f->d);
		usleep(1000);
	}
}

static void
the_cache_mode_outlives_a_change_before_the_device_goes_on(void **state)
{
	struct fixture *f = *state;
	unsigned told = f->b.config[WCE];

	start(f, 1ULL << VIRTIO_BLK_F_CONFIG_WCE);
	virtio_device_write_config(f->d.dev, WCE, 1, told ^ 1);
	fake_backend_wait(&f->b, VHOST_SET_CONFIG_MSG, 1);
	save(f);
	load_held(f);
	server_changes_config(f);
	virtio_device_resume(f->d.dev);
	fake_backend_wait(&f->b, VHOST_SET_CONFIG_MSG, 2);
	assert_int_equal(f->b.config_written.data[0], told ^ 1);
	assert_int_equal(virtio_device_read_config(f->d.dev, WCE, 1), told ^ 1);
	assert_int_equal(virtio_device_read_config(f->d.dev, 0, 1),
			 f->b.config[0]);
}

static void a_server_that_is_lost_meanwhile_fails_the_rest(void **state)
{
	struct fixture *f = *state;
	int before;

	start(f, 0);
	serve_one_of_two(f);
	before = f->transport.kicks[0];
	virtio_device_quiesce(f->d.dev);
	fake_backend_stop(&f->b);
	for (int i = 0; i < 30000 && vhost_user_is_ready(f->conn); i++) {
		fake_run_loop(&f->d);
		usleep(1000);
	}
	/* nothing of the guest's is touched before the pause is over, but the
	 * server may have kept its eventfds */
	assert_int_equal(fake_used_idx(&f->d, 0), 1);
	assert_int_not_equal(f->transport.kicks[0], before);
	virtio_device_resume(f->d.dev);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, 0), 2);
	assert_int_equal(*(uint8_t *)fake_ptr(&f->d, f->status + 2),
			 VIRTIO_BLK_S_IOERR);
	assert_false(fake_needs_reset(&f->d));
}

static void a_server_that_dies_of_it_fails_what_it_had(void **state)
{
	struct fixture *f = *state;
	uint16_t head;

	start(f, 0);
	head = submit(f);
	f->b.bad_request = VHOST_GET_VRING_BASE_MSG;
	f->b.mischief = FAKE_DIES;
	virtio_device_quiesce(f->d.dev);
	assert_int_equal(fake_used_idx(&f->d, 0), 1);
	assert_int_equal(*(uint8_t *)fake_ptr(&f->d, f->status + head),
			 VIRTIO_BLK_S_IOERR);
	expect_ring(f, 1);
	assert_true(mock_transport_interrupts(&f->transport, 0) > 0);
	virtio_device_resume(f->d.dev);
	submit(f);
	virtio_device_kick(f->d.dev, 0);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, 0), 2);
	assert_false(fake_needs_reset(&f->d));
}

static void requests_that_a_server_keeps_break_the_device(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	submit(f);
	f->b.rings[0].base = 1;
	virtio_device_quiesce(f->d.dev);
	virtio_device_resume(f->d.dev);
	assert_true(fake_needs_reset(&f->d));
}

static void a_file_system_says_that_it_cannot_be_saved(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_int_equal(virtio_device_can_save(f->d.dev, &err), 0);
	fake_detach(&f->d);
	virtio_device_destroy(f->d.dev);
	f->d.dev = vhost_user_fs_create(f->conn, "share", &f->d.mem, f->d.loop,
					&err);
	fake_attach_mock(&f->d, f->d.dev, &f->transport);
	assert_int_equal(virtio_device_can_save(f->d.dev, &err), -1);
	assert_string_equal(
		err.text,
		"virtiofsd cannot save which files the guest has open");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_pause_takes_the_rings_back_and_goes_on_there),
		TEST(a_fresh_device_goes_on_there_as_well),
		TEST(the_cache_mode_goes_along),
		TEST(the_cache_mode_outlives_a_change_before_the_device_goes_on),
		TEST(a_server_that_is_lost_meanwhile_fails_the_rest),
		TEST(a_server_that_dies_of_it_fails_what_it_had),
		cmocka_unit_test_setup_teardown(
			requests_that_a_server_keeps_break_the_device,
			setup_short, teardown),
		TEST(a_file_system_says_that_it_cannot_be_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
