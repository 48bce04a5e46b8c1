#include "tests/unit/unit.h"

#include "devices/platform/x86_64/i8042.h"

static void count_reset(void *ctx)
{
	++*(int *)ctx;
}

static void only_the_reset_command_resets(void **state)
{
	int resets = 0;
	struct i8042 i8042 = { .reset = count_reset, .ctx = &resets };

	(void)state;
	for (unsigned command = 0; command < 256; command++)
		if (command != 0xfe)
			i8042_bus_ops.write(&i8042, 0, 1, command);
	assert_int_equal(resets, 0);
	i8042_bus_ops.write(&i8042, 0, 1, 0xfe);
	assert_int_equal(resets, 1);
}

/* i8042_flush() gives up after 16 bytes that never end; kb_wait() goes on
 * when the input buffer is empty. */
static void status_says_no_controller_but_ready_for_reset(void **state)
{
	struct i8042 i8042 = { 0 };

	(void)state;
	for (int i = 0; i < 32; i++)
		assert_int_equal(i8042_bus_ops.read(&i8042, 0, 1) & 3, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_reset_command_resets),
		cmocka_unit_test(status_says_no_controller_but_ready_for_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
