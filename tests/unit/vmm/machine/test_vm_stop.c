/* Which stop counts when several come: reason, exit code and text stay
 * together. */
#include "tests/unit/unit.h"

#include "vmm/machine/vm.h"

static int setup(void **state)
{
	static struct vm vm;
	struct error err;

	vm = (struct vm){ 0 };
	pthread_mutex_init(&vm.stop_lock, NULL);
	vm.loop = event_loop_create(&err);
	assert_non_null(vm.loop);
	*state = &vm;
	return 0;
}

static int teardown(void **state)
{
	struct vm *vm = *state;

	event_loop_destroy(vm->loop);
	pthread_mutex_destroy(&vm->stop_lock);
	return 0;
}

static void test_the_first_reason_stands_with_its_exit_code(void **state)
{
	struct vm *vm = *state;

	assert_false(vm_stopping(vm));
	vm_stop(vm, VM_STOP_QUIT, 130, "Interrupt");
	assert_true(vm_stopping(vm));
	vm_stop(vm, VM_STOP_POWEROFF, 42, "the guest powered off");
	vm_stop(vm, VM_STOP_REBOOT, 0, "reset");
	assert_int_equal(vm->stop.reason, VM_STOP_QUIT);
	assert_int_equal(vm->stop.exit_code, 130);
	assert_string_equal(vm->stop.text, "Interrupt");
}

static void
test_a_power_off_keeps_its_exit_code_when_a_signal_follows(void **state)
{
	struct vm *vm = *state;

	vm_stop(vm, VM_STOP_POWEROFF, 42, "the guest powered off");
	vm_stop(vm, VM_STOP_QUIT, 130, "Interrupt");
	assert_int_equal(vm->stop.reason, VM_STOP_POWEROFF);
	assert_int_equal(vm->stop.exit_code, 42);
}

static void test_a_reboot_gives_way_to_any_other(void **state)
{
	struct vm *vm = *state;

	vm_stop(vm, VM_STOP_REBOOT, 0, "reset");
	vm_stop(vm, VM_STOP_REBOOT, 0, "a second reset");
	assert_string_equal(vm->stop.text, "reset");
	vm_stop(vm, VM_STOP_ERROR, ERROR_TRIPLE_FAULT, "vCPU %u", 3u);
	vm_stop(vm, VM_STOP_QUIT, 130, "Interrupt");
	assert_int_equal(vm->stop.reason, VM_STOP_ERROR);
	assert_int_equal(vm->stop.exit_code, ERROR_TRIPLE_FAULT);
	assert_string_equal(vm->stop.text, "vCPU 3");
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
