/* Holding a device still, and what is copied into a fresh one. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wake.h"
#include "devices/virtio/virtio_negotiation.h"
#include "devices/virtio/virtio_state.h"
#include "tests/fake_driver.h"
#include "tests/mock_device.h"

struct saved {
	struct virtio_device_state common;
	struct mock_state own;
};

struct fixture {
	struct fake_driver d;
	struct mock_device *mock, *fresh;
	struct mock_transport transport, other;
	struct saved saved;
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	fake_init(&f.d);
	f.mock = mock_create(&f.d.mem, f.d.loop);
	f.fresh = mock_create(&f.d.mem, f.d.loop);
	mock_transport_attach(&f.other, &f.fresh->dev);
	fake_attach_mock(&f.d, &f.mock->dev, &f.transport);
	fake_start(&f.d, 1ULL << MOCK_FEATURE, 8);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	virtio_device_detach(&f->fresh->dev);
	virtio_device_destroy(&f->mock->dev);
	virtio_device_destroy(&f->fresh->dev);
	fake_fini(&f->d);
	return 0;
}

static void add_one(struct fixture *f, unsigned queue)
{
	struct fake_buffer b = { fake_alloc(&f->d, 16, 16), 16 };

	fake_add(&f->d, queue, &b, 0, 1);
}

static void save(struct fixture *f)
{
	assert_int_equal(virtio_device_state_size(&f->mock->dev),
			 sizeof(f->saved));
	virtio_device_quiesce(&f->mock->dev);
	virtio_device_save(&f->mock->dev, &f->saved);
	virtio_device_resume(&f->mock->dev);
}

static int load(struct fixture *f)
{
	struct error err;

	return virtio_device_load(&f->fresh->dev, &f->saved, sizeof(f->saved),
				  &err);
}

static void kicks_of_a_held_device_wait(void **state)
{
	struct fixture *f = *state;

	virtio_device_hold(&f->mock->dev);
	assert_int_equal(f->mock->quiesces, 0);
	add_one(f, 0);
	add_one(f, 1);
	fake_kick(&f->d, 0);
	wake(f->transport.kicks[1]);
	virtio_device_again(&f->mock->dev, 1);
	fake_run_loop(&f->d);
	assert_int_equal(f->mock->notifications, 0);
	virtio_device_resume(&f->mock->dev);
	assert_int_equal(f->mock->notifications,
			 0); /* it is the loop's to do */
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, 0), 1);
	assert_int_equal(fake_used_idx(&f->d, 1), 1);
	assert_int_equal(mock_transport_interrupts(&f->transport, 0), 1);
	assert_int_equal(mock_transport_interrupts(&f->transport, 1), 1);
}

static void the_last_of_several_holds_counts(void **state)
{
	struct fixture *f = *state;

	virtio_device_hold(&f->mock->dev);
	virtio_device_quiesce(&f->mock->dev);
	assert_int_equal(f->mock->quiesces, 1);
	virtio_device_resume(&f->mock->dev);
	assert_int_equal(f->mock->resumes, 0);
	assert_false(virtio_device_up(&f->mock->dev));
	virtio_device_resume(&f->mock->dev);
	assert_int_equal(f->mock->resumes, 1);
	assert_true(virtio_device_up(&f->mock->dev));
	/* eventfds stayed where they were */
	assert_int_equal(f->transport.attached, 2);
	assert_int_equal(f->transport.detached, 0);
}

static void a_driver_may_reset_a_held_device(void **state)
{
	struct fixture *f = *state;

	virtio_device_hold(&f->mock->dev);
	virtio_device_write_status(&f->mock->dev, 0);
	virtio_device_resume(&f->mock->dev);
	fake_run_loop(&f->d);
	assert_int_equal(f->mock->notifications, 0);
	virtio_device_hold(&f->mock->dev);
	fake_start(&f->d, 0, 8);
	add_one(f, 0);
	fake_kick(&f->d, 0);
	assert_int_equal(f->mock->notifications, 0);
	virtio_device_resume(&f->mock->dev);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, 0), 1);
}

static void a_fresh_device_goes_on_where_the_other_was(void **state)
{
	struct fixture *f = *state;

	f->mock->state.value = 7;
	virtio_device_config_changed(&f->mock->dev);
	add_one(f, 0);
	fake_kick(&f->d, 0);
	save(f);
	assert_int_equal(load(f), 0);
	assert_int_equal(f->fresh->state.value, 7);
	assert_int_equal(f->fresh->dev.config_generation, 1);
	assert_true(virtio_has_feature(&f->fresh->dev, MOCK_FEATURE));
	add_one(f, 0);
	virtio_device_kick(&f->fresh->dev, 0);
	assert_int_equal(f->fresh->notifications, 0);
	virtio_device_resume(&f->fresh->dev);
	assert_int_equal(f->fresh->activations, 0);
	assert_int_equal(f->other.attached, 2);
	/* the first interrupt may be lost, and config be another one */
	assert_int_equal(mock_transport_interrupts(&f->other, 0), 1);
	assert_int_equal(f->other.config_changes, 1);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, 0), 2);
	assert_int_equal(mock_transport_interrupts(&f->other, 0), 1);
}

static void a_device_without_a_driver_can_be_moved(void **state)
{
	struct fixture *f = *state;

	virtio_device_write_status(&f->mock->dev, 0);
	save(f);
	assert_int_equal(load(f), 0);
	virtio_device_resume(&f->fresh->dev);
	assert_int_equal(f->fresh->resumes, 1);
	assert_int_equal(f->other.config_changes, 0);
	assert_int_equal(f->other.attached, 0);
}

/* --- what comes from anybody --- */

static void expect_refusal(struct fixture *f, const char *why)
{
	struct error err;

	assert_int_equal(virtio_device_load(&f->fresh->dev, &f->saved,
					    sizeof(f->saved), &err),
			 -1);
	assert_string_equal(err.text, why);
	assert_int_equal(f->fresh->dev.status, 0);
	assert_int_equal(f->fresh->dev.holds, 0);
}

static void states_of_other_devices_are_refused(void **state)
{
	const char *const other =
		"the state has a status or features that the "
		"device cannot have";
	struct fixture *f = *state;
	struct saved good;
	struct error err;

	save(f);
	good = f->saved;
	f->saved.common.driver_features |= 1ULL << 50;
	expect_refusal(f, other);
	f->saved.common.driver_features = 0; /* without VERSION_1 */
	expect_refusal(f, other);
	f->saved = good;
	f->saved.common.status = 1u << 16;
	expect_refusal(f, other);
	f->saved.common.status = VIRTIO_CONFIG_S_DRIVER_OK;
	expect_refusal(f, other);
	f->saved = good;
	f->saved.own.value = MOCK_STATE_BAD;
	expect_refusal(f, "the device cannot be in this state");
	assert_int_equal(virtio_device_load(&f->fresh->dev, &good,
					    sizeof(good) - 1, &err),
			 -1);
	assert_non_null(strstr(err.text, "bytes"));
	f->saved = good;
	assert_int_equal(load(f), 0);
}

static void a_bad_ring_asks_for_a_reset(void **state)
{
	static const struct virtqueue_state bad[] = {
		{ .ready = 1, .size = 3 },
		{ .ready = 1, .size = 32 },
		{ .ready = 1, .size = 8, .desc = UINT64_MAX - 15 },
		{ .ready = 1, .size = 8, .desc = FAKE_RAM_BASE + 8 },
		{ .ready = 0xff00, .size = 8, .avail = 0xdead0000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		void *fixture;
		struct fixture *f;

		setup(&fixture);
		f = fixture;
		save(f);
		f->saved.common.queues[1] = bad[i];
		assert_int_equal(load(f), 0);
		virtio_device_resume(&f->fresh->dev);
		assert_int_equal(f->fresh->resumes, 0);
		assert_true(f->fresh->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
		virtio_device_kick(&f->fresh->dev, 0);
		virtio_device_kick(&f->fresh->dev, 1);
		fake_run_loop(&f->d);
		assert_int_equal(f->fresh->notifications, 0);
		teardown(&fixture);
	}
}

static void counters_of_a_ring_may_be_anything(void **state)
{
	struct fixture *f = *state;

	save(f);
	f->saved.common.queues[0].next_avail = 0x4321;
	f->saved.common.queues[0].next_used = 0x1234;
	f->saved.common.queues[0].last_interrupt = 0x4711;
	assert_int_equal(load(f), 0);
	virtio_device_resume(&f->fresh->dev);
	fake_run_loop(&f->d);
	assert_true(f->fresh->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void what_cannot_go_on_asks_for_a_reset(void **state)
{
	struct fixture *f = *state;

	f->mock->resume_result = -EIO;
	virtio_device_quiesce(&f->mock->dev);
	virtio_device_resume(&f->mock->dev);
	assert_true(fake_needs_reset(&f->d));
	assert_int_equal(f->transport.config_changes, 1);
}

static void what_cannot_be_saved_says_so(void **state)
{
	static const struct virtio_device_ops ops = { .unsaved = "no way" };
	struct fixture *f = *state;
	struct error err;

	assert_int_equal(virtio_device_can_save(&f->mock->dev, &err), 0);
	f->fresh->dev.ops = &ops;
	assert_int_equal(virtio_device_can_save(&f->fresh->dev, &err), -1);
	assert_string_equal(err.text, "no way");
}

/* --- virtio-mmio --- */

static void the_registers_of_mmio_go_along(void **state)
{
	struct fixture *f = *state;
	struct virtio_mmio_state registers;

	fake_detach(&f->d);
	fake_attach(&f->d, &f->mock->dev);
	fake_start(&f->d, 0, 8);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, 1);
	add_one(f, 1);
	fake_kick(&f->d, 1);
	virtio_mmio_save(f->d.mmio, &registers);
	fake_detach(&f->d);
	fake_attach(&f->d, &f->mock->dev);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	registers.interrupt_status |= 0xf0;
	virtio_mmio_load(f->d.mmio, &registers);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS),
			 VIRTIO_MMIO_INT_VRING);
	assert_int_equal(registers.queue_sel, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(kicks_of_a_held_device_wait),
		TEST(the_last_of_several_holds_counts),
		TEST(a_driver_may_reset_a_held_device),
		TEST(a_fresh_device_goes_on_where_the_other_was),
		TEST(a_device_without_a_driver_can_be_moved),
		TEST(states_of_other_devices_are_refused),
		cmocka_unit_test(a_bad_ring_asks_for_a_reset),
		TEST(counters_of_a_ring_may_be_anything),
		TEST(what_cannot_go_on_asks_for_a_reset),
		TEST(what_cannot_be_saved_says_so),
		TEST(the_registers_of_mmio_go_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
