/* virtio-net's link: pulled, plugged in, and lost with the back end. */
#include "tests/unit/devices/net/virtio_net_fixture.h"

static uint64_t link_status(struct fixture *f)
{
	return fake_config(&f->d, 6, 2);
}

static bool config_interrupt(struct fixture *f)
{
	uint32_t causes = fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS);

	fake_write(&f->d, VIRTIO_MMIO_INTERRUPT_ACK, causes);
	return causes & VIRTIO_MMIO_INT_CONFIG;
}

static void set_link(struct fixture *f, bool up)
{
	pthread_mutex_lock(&f->dev->lock);
	virtio_net_set_link(f->dev, up);
	pthread_mutex_unlock(&f->dev->lock);
}

static void the_driver_hears_of_a_change_and_of_no_other(void **state)
{
	struct fixture *f = *state;

	set_link(f, false);
	assert_int_equal(link_status(f), 0);
	assert_false(config_interrupt(f)); /* 2.1.2: it is not up */
	fake_start(&f->d, 0, 8);
	set_link(f, false);
	assert_false(config_interrupt(f));
	set_link(f, true);
	assert_true(config_interrupt(f));
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP);
}

static void a_pulled_link_loses_what_is_sent(void **state)
{
	struct fixture *f = *state;
	uint8_t got[200];

	fake_start(&f->d, 0, 8);
	set_link(f, false);
	give_tx(f, 200);
	fake_kick(&f->d, VIRTIO_NET_TX);
	assert_int_equal(fake_used_idx(&f->d, VIRTIO_NET_TX), 1);
	assert_int_equal(recv(f->peer, got, sizeof(got), 0), -1);
	set_link(f, true);
	give_tx(f, 200);
	fake_kick(&f->d, VIRTIO_NET_TX);
	assert_int_equal(recv(f->peer, got, sizeof(got), 0), 200);
}

static void a_pulled_link_receives_nothing(void **state)
{
	struct fixture *f = *state;
	uint32_t len;

	fake_start(&f->d, 0, 8);
	give_rx(f, 2048);
	fake_kick(&f->d, VIRTIO_NET_RX);
	set_link(f, false);
	send_frame(f, 64);
	fake_run_loop(&f->d);
	fake_kick(&f->d, VIRTIO_NET_RX);
	fake_run_loop(&f->d);
	assert_false(got_rx(f, &len));
	set_link(f, true);
	fake_run_loop(&f->d);
	assert_true(got_rx(f, &len));
}

static void a_link_outlasts_resets(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	set_link(f, false);
	fake_start(&f->d, 0, 8);
	assert_int_equal(link_status(f), 0);
	set_link(f, true);
	assert_true(config_interrupt(f));
}

/* As when the interface is deleted: the kernel then says EPOLLERR. */
static void a_back_end_that_is_gone_takes_the_link_down(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	f->tap.backend.gone = true;
	give_tx(f, 200);
	fake_kick(&f->d, VIRTIO_NET_TX);
	assert_int_equal(fake_used_idx(&f->d, VIRTIO_NET_TX), 1);
	assert_true(config_interrupt(f));
	assert_int_equal(link_status(f), 0);
	set_link(f, true);
	assert_int_equal(link_status(f), 0);
	assert_false(config_interrupt(f));
	/* and so it is for the device after a reboot */
	fake_detach(&f->d);
	virtio_device_destroy(f->dev);
	fake_fini(&f->d);
	assert_int_equal(set_up_device(f, &f->tap.backend), 0);
	assert_int_equal(link_status(f), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_driver_hears_of_a_change_and_of_no_other),
		TEST(a_pulled_link_loses_what_is_sent),
		TEST(a_pulled_link_receives_nothing),
		TEST(a_link_outlasts_resets),
		TEST(a_back_end_that_is_gone_takes_the_link_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
