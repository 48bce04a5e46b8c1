#include "tests/unit/unit.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/platform/power.h"

struct fixture {
	struct power power;
	int irq_fd;
	int offs, resets, marks;
	uint8_t exit_code;
};

static void on_off(void *ctx, uint8_t exit_code)
{
	struct fixture *f = ctx;

	f->offs++;
	f->exit_code = exit_code;
}

static void on_reset(void *ctx)
{
	((struct fixture *)ctx)->resets++;
}

static void on_mark(void *ctx)
{
	((struct fixture *)ctx)->marks++;
}

static const struct power_ops ops = {
	.power_off = on_off,
	.reset = on_reset,
	.boot_mark = on_mark,
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .irq_fd = eventfd(0, EFD_NONBLOCK) };
	power_init(&f.power, (struct irq_line){ .fd = f.irq_fd }, &ops, &f);
	*state = &f;
	return f.irq_fd < 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	power_destroy(&f->power);
	close(f->irq_fd);
	return 0;
}

static void out(struct fixture *f, unsigned reg, uint8_t value)
{
	power_bus_ops.write(&f->power, reg, 1, value);
}

static uint64_t in(struct fixture *f, unsigned reg)
{
	return power_bus_ops.read(&f->power, reg, 1);
}

static void only_slp_en_with_type_5_turns_off(void **state)
{
	struct fixture *f = *state;

	for (unsigned value = 0; value < 256; value++)
		if ((value & 0x3c) != (0x20 | 5 << 2))
			out(f, POWER_SLEEP_CONTROL, (uint8_t)value);
	assert_int_equal(f->offs, 0);
	out(f, POWER_SLEEP_CONTROL, 0x20 | 5 << 2);
	assert_int_equal(f->offs, 1);
	assert_int_equal(in(f, POWER_SLEEP_CONTROL), 0);
}

static void nothing_wakes_up(void **state)
{
	struct fixture *f = *state;

	out(f, POWER_SLEEP_STATUS, 0xff);
	assert_int_equal(in(f, POWER_SLEEP_STATUS), 0);
}

static void power_off_hands_the_exit_code_over(void **state)
{
	struct fixture *f = *state;

	out(f, POWER_EXIT_CODE, 42);
	assert_int_equal(in(f, POWER_EXIT_CODE), 42);
	out(f, POWER_SLEEP_CONTROL, 0x34);
	assert_int_equal(f->exit_code, 42);
}

static void only_1_resets(void **state)
{
	struct fixture *f = *state;

	for (unsigned value = 0; value < 256; value++)
		if (value != 1)
			out(f, POWER_RESET, (uint8_t)value);
	assert_int_equal(f->resets, 0);
	out(f, POWER_RESET, 1);
	assert_int_equal(f->resets, 1);
}

static void the_button_interrupts_and_reading_clears_it(void **state)
{
	struct fixture *f = *state;
	uint64_t edges;

	power_press_button(&f->power);
	assert_int_equal(read(f->irq_fd, &edges, sizeof(edges)), sizeof(edges));
	assert_int_equal(in(f, POWER_EVENTS), POWER_EVENT_BUTTON);
	assert_int_equal(in(f, POWER_EVENTS), 0);
}

static void the_first_boot_mark_counts(void **state)
{
	struct fixture *f = *state;

	out(f, POWER_BOOT_MARK, 7);
	out(f, POWER_BOOT_MARK, 8);
	assert_int_equal(f->marks, 1);
}

static void wide_accesses_are_taken_apart_into_bytes(void **state)
{
	struct fixture *f = *state;

	power_bus_ops.write(&f->power, 4, 2, 0x2a01);
	assert_int_equal(f->marks, 1);
	assert_int_equal(power_bus_ops.read(&f->power, 0, 8), 0x2aULL << 40);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(only_slp_en_with_type_5_turns_off),
		TEST(nothing_wakes_up),
		TEST(power_off_hands_the_exit_code_over),
		TEST(only_1_resets),
		TEST(the_button_interrupts_and_reading_clears_it),
		TEST(the_first_boot_mark_counts),
		TEST(wide_accesses_are_taken_apart_into_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
