/* Which stop counts when several come: reason, exit code and text stay
 * together. */
#include "tests/unit/unit.h"

#include "vmm/machine/stop.h"

static int setup(void **state)
{
	static struct stop stop;
	struct error err;

	stop_init(&stop, event_loop_create(&err));
	assert_non_null(stop.loop);
	*state = &stop;
	return 0;
}

static int teardown(void **state)
{
	struct stop *stop = *state;

	event_loop_destroy(stop->loop);
	stop_destroy(stop);
	return 0;
}

static void test_the_first_reason_stands_with_its_exit_code(void **state)
{
	struct stop *stop = *state;

	assert_false(stop_is_requested(stop));
	stop_request(stop, STOP_QUIT, 130, "Interrupt");
	assert_true(stop_is_requested(stop));
	stop_request(stop, STOP_POWEROFF, 42, "the guest powered off");
	stop_request(stop, STOP_REBOOT, 0, "reset");
	assert_int_equal(stop->cause.reason, STOP_QUIT);
	assert_int_equal(stop->cause.exit_code, 130);
	assert_string_equal(stop->cause.text, "Interrupt");
}

static void
test_a_power_off_keeps_its_exit_code_when_a_signal_follows(void **state)
{
	struct stop *stop = *state;

	stop_request(stop, STOP_POWEROFF, 42, "the guest powered off");
	stop_request(stop, STOP_QUIT, 130, "Interrupt");
	assert_int_equal(stop->cause.reason, STOP_POWEROFF);
	assert_int_equal(stop->cause.exit_code, 42);
}

static void test_a_reboot_gives_way_to_any_other(void **state)
{
	struct stop *stop = *state;

	stop_request(stop, STOP_REBOOT, 0, "reset");
	stop_request(stop, STOP_REBOOT, 0, "a second reset");
	assert_string_equal(stop->cause.text, "reset");
	stop_request(stop, STOP_ERROR, ERROR_TRIPLE_FAULT, "vCPU %u", 3u);
	stop_request(stop, STOP_QUIT, 130, "Interrupt");
	assert_int_equal(stop->cause.reason, STOP_ERROR);
	assert_int_equal(stop->cause.exit_code, ERROR_TRIPLE_FAULT);
	assert_string_equal(stop->cause.text, "vCPU 3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_the_first_reason_stands_with_its_exit_code, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_a_power_off_keeps_its_exit_code_when_a_signal_follows,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_reboot_gives_way_to_any_other, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
