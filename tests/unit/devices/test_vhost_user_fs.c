/* A file system device whose queues a back-end serves. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/fuse.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <unistd.h>

#include "devices/vhost_user/vhost_user_device.h"
#include "devices/vhost_user_fs.h"
#include "tests/fake_backend.h"
#include "tests/fake_driver.h"

#define TIMEOUT_MS 30000
#define ENTRIES 8
#define REQUESTS 1 /* the queue of all but the urgent ones */

struct fixture {
	struct fake_driver d;
	struct fake_backend b;
	struct vhost_user *conn;
	struct virtio_device *dev;
};

static int setup_with(void **state, const char *tag)
{
	static struct fixture f;
	struct vhost_user_options options = {
		.kind = &vhost_user_fs_kind,
		.name = "share x",
		.timeout_ms = TIMEOUT_MS,
	};
	struct error err;

	memset(&f, 0, sizeof(f));
	fake_init(&f.d);
	fake_backend_init(&f.b);
	f.b.ram = f.d.ram;
	f.b.queues = 2;
	options.fd = fake_backend_start(&f.b);
	f.conn = vhost_user_create(&options, &err);
	assert_non_null(f.conn);
	f.dev = vhost_user_fs_create(f.conn, tag, &f.d.mem, f.d.loop, &err);
	assert_non_null(f.dev);
	fake_attach(&f.d, f.dev);
	*state = &f;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, "data");
}

static int setup_longest(void **state)
{
	return setup_with(state, "123456789012345678901234567890123456");
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

static void start_and_lose(struct fixture *f)
{
	fake_start(&f->d, 0, ENTRIES);
	fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, 2);
	fake_backend_stop(&f->b);
	for (int i = 0; i < 30000 && vhost_user_is_ready(f->conn); i++) {
		fake_run_loop(&f->d);
		usleep(1000);
	}
	assert_false(vhost_user_is_ready(f->conn));
}

static void the_tag_and_one_request_queue_are_told(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_DEVICE_ID), 26);
	assert_int_equal(fake_config(&f->d, 0, 8), 0x61746164); /* "data" */
	assert_int_equal(fake_config(&f->d, 8, 8), 0);
	assert_int_equal(fake_config(&f->d, 36, 4), 1);
	assert_int_equal(fake_config(&f->d, 40, 4), 0);
}

static void the_longest_tag_has_no_end(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_config(&f->d, 32, 4), 0x36353433);
	assert_int_equal(fake_config(&f->d, 36, 4), 1);
}

static void requests_without_a_back_end_are_answered(void **state)
{
	struct fixture *f = *state;
	struct fuse_in_header request = { .len = 56, .unique = 0x123456789a };
	struct fuse_out_header answer;
	struct fake_buffer b[] = { { fake_alloc(&f->d, 40, 8), 40 },
				   { fake_alloc(&f->d, 16, 8), 16 },
				   { fake_alloc(&f->d, 16, 8), 16 },
				   { fake_alloc(&f->d, 64, 8), 64 } };
	uint32_t head, len;

	start_and_lose(f);
	memcpy(fake_ptr(&f->d, b[0].gpa), &request, sizeof(request));
	fake_add(&f->d, REQUESTS, b, 2, 2);
	fake_kick(&f->d, REQUESTS);
	fake_run_loop(&f->d);
	assert_true(fake_get_used(&f->d, REQUESTS, &head, &len));
	assert_int_equal(len, sizeof(answer));
	memcpy(&answer, fake_ptr(&f->d, b[2].gpa), sizeof(answer));
	assert_int_equal(answer.len, sizeof(answer));
	assert_int_equal(answer.error, -ENOTCONN);
	assert_int_equal(answer.unique, request.unique);
}

static void what_was_under_way_is_answered_too(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b[] = { { fake_alloc(&f->d, 40, 8), 40 },
				   { fake_alloc(&f->d, 16, 8), 16 } };
	uint32_t head, len;

	fake_start(&f->d, 0, ENTRIES);
	for (int i = 0; i < 3; i++)
		fake_add(&f->d, REQUESTS, b, 1, 1);
	fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, 2);
	fake_backend_use(&f->b, REQUESTS, 2, 16);
	fake_run_loop(&f->d);
	fake_backend_stop(&f->b);
	for (int i = 0; i < 30000 && fake_used_idx(&f->d, REQUESTS) < 3; i++) {
		fake_run_loop(&f->d);
		usleep(1000);
	}
	assert_true(fake_get_used(&f->d, REQUESTS, &head, &len));
	assert_int_equal(head, 2);
	assert_true(fake_get_used(&f->d, REQUESTS, &head, &len));
	assert_true(fake_get_used(&f->d, REQUESTS, &head, &len));
	assert_false(fake_get_used(&f->d, REQUESTS, &head, &len));
	assert_false(fake_needs_reset(&f->d));
}

/* FORGET wants no answer; the others are a driver's nonsense. */
static void requests_of_every_form_end(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b[] = { { fake_alloc(&f->d, 40, 8), 40 },
				   { fake_alloc(&f->d, 16, 8), 16 } };
	struct fake_buffer half = { b[0].gpa, 20 };
	uint32_t head, len;

	start_and_lose(f);
	fake_add(&f->d, REQUESTS, b, 1, 0);
	fake_add(&f->d, REQUESTS, &b[1], 0, 1);
	fake_add(&f->d, REQUESTS, &half, 1, 0);
	half = (struct fake_buffer){ b[0].gpa, 0 };
	fake_add(&f->d, REQUESTS, &half, 1, 0);
	b[1].len = 7;
	fake_add(&f->d, REQUESTS, b, 1, 1);
	fake_kick(&f->d, REQUESTS);
	fake_run_loop(&f->d);
	for (int i = 0; i < 4; i++) {
		assert_true(fake_get_used(&f->d, REQUESTS, &head, &len));
		assert_int_equal(len, 0);
	}
	assert_true(fake_get_used(&f->d, REQUESTS, &head, &len));
	assert_int_equal(len, 7);
	assert_false(fake_needs_reset(&f->d));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_tag_and_one_request_queue_are_told),
		cmocka_unit_test_setup_teardown(the_longest_tag_has_no_end,
						setup_longest, teardown),
		TEST(requests_without_a_back_end_are_answered),
		TEST(what_was_under_way_is_answered_too),
		TEST(requests_of_every_form_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
