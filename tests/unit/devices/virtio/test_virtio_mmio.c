#include "tests/unit/devices/virtio/virtio_mmio_fixture.h"

static void a_virtio_1_device_shows_itself(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_DEVICE_ID), 42);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_QUEUE_NUM_MAX), 16);
	fake_write(&f->d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_DEVICE_FEATURES),
			 1 << (VIRTIO_F_VERSION_1 - 32));
	fake_write(&f->d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_DEVICE_FEATURES), 0);
}

static void features_that_were_not_offered_are_refused(void **state)
{
	struct fixture *f = *state;

	assert_true(fake_negotiate(&f->d, 1ULL << MOCK_FEATURE));
	assert_false(fake_negotiate(&f->d, 1ULL << (MOCK_FEATURE + 1)));
	assert_false(fake_negotiate(&f->d, 1ULL << 63));
}

static void a_driver_without_version_1_is_refused(void **state)
{
	struct fixture *f = *state;

	fake_write(&f->d, VIRTIO_MMIO_STATUS, 3);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_STATUS), 3);
}

static void features_are_frozen_by_features_ok(void **state)
{
	struct fixture *f = *state;

	assert_true(fake_negotiate(&f->d, 0));
	fake_write(&f->d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	fake_write(&f->d, VIRTIO_MMIO_DRIVER_FEATURES, 1 << MOCK_FEATURE);
	assert_false(virtio_has_feature(&f->mock->dev, MOCK_FEATURE));
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	assert_true(fake_negotiate(&f->d, 1ULL << MOCK_FEATURE));
	assert_true(virtio_has_feature(&f->mock->dev, MOCK_FEATURE));
}

static void driver_ok_needs_features_ok(void **state)
{
	struct fixture *f = *state;

	fake_write(&f->d, VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_STATUS), 3);
	assert_int_equal(f->mock->activations, 0);
}

static void driver_ok_activates_once(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	assert_int_equal(f->mock->activations, 1);
	fake_driver_ok(&f->d);
	assert_int_equal(f->mock->activations, 1);
}

static void a_failed_activation_asks_for_a_reset(void **state)
{
	struct fixture *f = *state;

	f->mock->activate_result = -EIO;
	fake_start(&f->d, 0, 8);
	assert_true(fake_needs_reset(&f->d));
	assert_int_equal(fake_interrupts(&f->d), 1);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS),
			 VIRTIO_MMIO_INT_CONFIG);
	f->mock->activate_result = 0;
	fake_start(&f->d, 0, 8);
	assert_false(fake_needs_reset(&f->d));
}

static void a_kick_is_served_and_interrupts(void **state)
{
	struct fixture *f = *state;
	uint32_t head, len;

	fake_start(&f->d, 0, 8);
	add_one(f, 1);
	fake_kick(&f->d, 1);
	assert_int_equal(f->mock->last_queue, 1);
	assert_true(fake_get_used(&f->d, 1, &head, &len));
	assert_int_equal(len, 16);
	assert_int_equal(fake_interrupts(&f->d), 1);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS),
			 VIRTIO_MMIO_INT_VRING);
	fake_write(&f->d, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void kicks_in_wrong_states_do_nothing(void **state)
{
	struct fixture *f = *state;

	fake_kick(&f->d, 0); /* before anything */
	assert_true(fake_negotiate(&f->d, 0));
	fake_setup_queue(&f->d, 0, 8);
	add_one(f, 0);
	fake_kick(&f->d, 0); /* before DRIVER_OK */
	fake_driver_ok(&f->d);
	fake_kick(&f->d, 1); /* a queue that is not ready */
	fake_kick(&f->d, 2); /* no such queue */
	fake_kick(&f->d, UINT32_MAX);
	assert_int_equal(f->mock->notifications, 0);
	fake_kick(&f->d, 0);
	assert_int_equal(f->mock->notifications, 1);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	fake_kick(&f->d, 0); /* after a reset */
	assert_int_equal(f->mock->notifications, 1);
}

static void a_broken_ring_needs_a_reset_and_heals_with_it(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	fake_set_avail_idx(&f->d, 0, 0x4000);
	fake_kick(&f->d, 0);
	assert_true(fake_needs_reset(&f->d));
	fake_kick(&f->d, 0);
	assert_int_equal(f->mock->notifications, 1);
	fake_start(&f->d, 0, 8);
	add_one(f, 0);
	fake_kick(&f->d, 0);
	assert_int_equal(fake_used_idx(&f->d, 0), 1);
}

static void odd_queue_sizes_ask_for_a_reset(void **state)
{
	static const uint32_t sizes[] = { 0,	   3,	    17,	       32,
					  0x10000, 0x10008, UINT32_MAX };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_true(fake_negotiate(&f->d, 0));
		fake_setup_queue(&f->d, 0, 8);
		fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
		fake_write(&f->d, VIRTIO_MMIO_QUEUE_NUM, sizes[i]);
		fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 1);
		fake_driver_ok(&f->d);
		assert_true(fake_needs_reset(&f->d));
		fake_kick(&f->d, 0);
	}
	assert_int_equal(f->mock->notifications, 0);
}

static void a_ring_cannot_move_while_in_use(void **state)
{
	struct fixture *f = *state;
	uint64_t desc;

	assert_true(fake_negotiate(&f->d, 0));
	fake_setup_queue(&f->d, 0, 8);
	desc = f->mock->dev.queues[0].state.desc;
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_DESC_LOW, 0xdead0000);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_NUM, 16);
	assert_int_equal(f->mock->dev.queues[0].state.desc, desc);
	assert_int_equal(f->mock->dev.queues[0].state.size, 8);
	fake_driver_ok(&f->d);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, 0);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_USED_HIGH, 0xdead);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_QUEUE_READY), 1);
	add_one(f, 0);
	fake_kick(&f->d, 0);
	assert_int_equal(fake_used_idx(&f->d, 0), 1);
}

static void a_driver_that_is_up_may_stop_a_queue(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	f->mock->stops = 0;
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, 0);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(f->mock->stops, 1);
	add_one(f, 0);
	fake_kick(&f->d, 0);
	assert_int_equal(f->mock->notifications, 0);
	add_one(f, 1);
	fake_kick(&f->d, 1);
	assert_int_equal(fake_used_idx(&f->d, 1), 1);
	/* only a reset brings it back */
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_QUEUE_READY), 0);
	fake_start(&f->d, 0, 8);
	assert_int_equal(f->mock->stops, 3);
	add_one(f, 0);
	fake_kick(&f->d, 0);
	assert_int_equal(fake_used_idx(&f->d, 0), 1);
}

static void a_queue_that_does_not_exist_is_all_zero(void **state)
{
	struct fixture *f = *state;

	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, 2);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_QUEUE_READY), 0);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, UINT32_MAX);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
}

static void config_space_holds_at_its_edges(void **state)
{
	struct fixture *f = *state;
	uint64_t edge = FAKE_MMIO_BASE + VIRTIO_MMIO_CONFIG + MOCK_CONFIG;
	uint32_t value = UINT32_MAX;

	assert_int_equal(fake_config(&f->d, 0, 8), 0x0807060504030201);
	assert_int_equal(fake_config(&f->d, MOCK_CONFIG - 1, 1), MOCK_CONFIG);
	/* what lies beyond reads as zero */
	assert_int_equal(fake_config(&f->d, MOCK_CONFIG - 2, 4), 0x0c0b);
	assert_int_equal(f->mock->config_reads, 3);
	assert_int_equal(fake_config(&f->d, MOCK_CONFIG, 4), 0);
	assert_int_equal(fake_config(&f->d, 0xf00 - 8, 8), 0);
	assert_int_equal(f->mock->config_reads, 3);
	bus_write(&f->d.bus, edge - 3, &value, 4);
	bus_write(&f->d.bus, edge, &value, 4);
	assert_int_equal(f->mock->config_writes, 0);
	bus_write(&f->d.bus, edge - 4, &value, 4);
	assert_int_equal(f->mock->config_writes, 1);
	assert_int_equal(f->mock->config[MOCK_CONFIG - 1], 0xff);
}

static void registers_answer_to_32_bits_only(void **state)
{
	struct fixture *f = *state;
	uint64_t zero = 0;
	uint8_t byte = 0xaa;

	fake_start(&f->d, 0, 8);
	bus_read(&f->d.bus, FAKE_MMIO_BASE, &byte, 1);
	assert_int_equal(byte, 0);
	bus_write(&f->d.bus, FAKE_MMIO_BASE + VIRTIO_MMIO_STATUS, &zero, 1);
	bus_write(&f->d.bus, FAKE_MMIO_BASE + VIRTIO_MMIO_STATUS, &zero, 8);
	assert_int_not_equal(fake_read(&f->d, VIRTIO_MMIO_STATUS), 0);
}

static void a_config_change_moves_the_generation(void **state)
{
	struct fixture *f = *state;
	uint32_t before = fake_read(&f->d, VIRTIO_MMIO_CONFIG_GENERATION);

	fake_start(&f->d, 0, 8);
	virtio_device_config_changed(&f->mock->dev);
	assert_int_not_equal(fake_read(&f->d, VIRTIO_MMIO_CONFIG_GENERATION),
			     before);
	assert_int_equal(fake_interrupts(&f->d), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_virtio_1_device_shows_itself),
		TEST(features_that_were_not_offered_are_refused),
		TEST(a_driver_without_version_1_is_refused),
		TEST(features_are_frozen_by_features_ok),
		TEST(driver_ok_needs_features_ok),
		TEST(driver_ok_activates_once),
		TEST(a_failed_activation_asks_for_a_reset),
		TEST(a_kick_is_served_and_interrupts),
		TEST(kicks_in_wrong_states_do_nothing),
		TEST(a_broken_ring_needs_a_reset_and_heals_with_it),
		TEST(odd_queue_sizes_ask_for_a_reset),
		TEST(a_ring_cannot_move_while_in_use),
		TEST(a_driver_that_is_up_may_stop_a_queue),
		TEST(a_queue_that_does_not_exist_is_all_zero),
		TEST(config_space_holds_at_its_edges),
		TEST(registers_answer_to_32_bits_only),
		TEST(a_config_change_moves_the_generation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
