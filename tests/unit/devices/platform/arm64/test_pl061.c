/* devices/platform/arm64/pl061: registers, edges and levels, and a button as
 * Linux's gpio-keys reads it. */
#include "tests/unit/unit.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/platform/arm64/pl061.h"

enum {
	DIR = 0x400,
	IS = 0x404,
	IBE = 0x408,
	IEV = 0x40c,
	IE = 0x410,
	RIS = 0x414,
	MIS = 0x418,
	IC = 0x41c,
	AFSEL = 0x420,
};

#define DATA(mask) ((uint64_t)(mask) << 2)

struct fixture {
	struct pl061 pl061;
	int irq_fd;
};

static int setup(void **state)
{
	static struct fixture f;

	f.irq_fd = eventfd(0, EFD_NONBLOCK);
	pl061_init(&f.pl061, (struct irq_line){ .fd = f.irq_fd });
	*state = &f;
	return f.irq_fd < 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pl061_destroy(&f->pl061);
	close(f->irq_fd);
	return 0;
}

static void out(struct fixture *f, uint64_t reg, uint8_t value)
{
	pl061_bus_ops.write(&f->pl061, reg, 1, value);
}

static uint64_t in(struct fixture *f, uint64_t reg)
{
	return pl061_bus_ops.read(&f->pl061, reg, 1);
}

/* How many interrupts there were since the last call. */
static uint64_t edges(struct fixture *f)
{
	uint64_t count = 0;

	if (read(f->irq_fd, &count, sizeof(count)) < 0)
		return 0;
	return count;
}

static void the_id_is_that_of_a_pl061(void **state)
{
	static const uint8_t id[] = { 0x61, 0x10, 4, 0, 0x0d, 0xf0, 5, 0xb1 };

	for (unsigned i = 0; i < sizeof(id); i++)
		assert_int_equal(in(*state, 0xfe0 + 4 * i), id[i]);
}

static void registers_keep_a_byte(void **state)
{
	static const uint64_t regs[] = { DIR, IS, IBE, IEV, IE, AFSEL };
	struct fixture *f = *state;

	for (unsigned i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
		assert_int_equal(in(f, regs[i]), 0);
		pl061_bus_ops.write(&f->pl061, regs[i], 4, 0xabcdef5a);
		assert_int_equal(pl061_bus_ops.read(&f->pl061, regs[i], 8),
				 0x5a);
		out(f, regs[i], 0);
	}
	out(f, IC, 0xff); /* lines were low when IS asked for that */
	out(f, RIS, 0xff);
	out(f, MIS, 0xff);
	assert_int_equal(in(f, RIS), 0);
	assert_int_equal(in(f, IC), 0);
}

static void the_address_masks_the_data(void **state)
{
	struct fixture *f = *state;

	out(f, DIR, 0xf0);
	out(f, DATA(0x55), 0xff);
	assert_int_equal(in(f, DATA(0xff)), 0x50);
	pl061_set_input(&f->pl061, 1, 1);
	pl061_set_input(&f->pl061, 7, 1); /* an output: not seen */
	assert_int_equal(in(f, DATA(0xff)), 0x52);
	assert_int_equal(in(f, DATA(0x42)), 0x42);
	assert_int_equal(in(f, DATA(0x00)), 0);
	pl061_set_input(&f->pl061, 1, 0);
	assert_int_equal(in(f, DATA(0xff)), 0x50);
}

static void edges_are_those_asked_for(void **state)
{
	struct fixture *f = *state;

	out(f, IE, 0xff);
	out(f, IEV, 1 << 0); /* line 0 rising, 1 falling, 2 both */
	out(f, IBE, 1 << 2);
	for (unsigned line = 0; line < 3; line++) {
		pl061_set_input(&f->pl061, line, 1);
		pl061_set_input(&f->pl061, line, 1);
	}
	assert_int_equal(in(f, MIS), 5);
	assert_int_equal(edges(f), 2);
	out(f, IC, 0xff);
	for (unsigned line = 0; line < 3; line++)
		pl061_set_input(&f->pl061, line, 0);
	assert_int_equal(in(f, MIS), 6);
	assert_int_equal(edges(f), 2);
	out(f, IC, 2);
	assert_int_equal(in(f, RIS), 4);
	assert_int_equal(edges(f), 0);
}

static void a_masked_interrupt_waits(void **state)
{
	struct fixture *f = *state;

	out(f, IEV, 2);
	pl061_set_input(&f->pl061, 1, 1);
	assert_int_equal(in(f, RIS), 2);
	assert_int_equal(in(f, MIS), 0);
	assert_int_equal(edges(f), 0);
	out(f, IE, 2);
	assert_int_equal(in(f, MIS), 2);
	assert_int_equal(edges(f), 1);
	out(f, IE, 2);
	assert_int_equal(edges(f), 0);
}

static void a_level_asks_again_when_it_is_cleared(void **state)
{
	struct fixture *f = *state;

	out(f, IS, 3);
	out(f, IEV, 2); /* line 0 low, line 1 high */
	out(f, IE, 2);
	assert_int_equal(in(f, RIS), 1);
	pl061_set_input(&f->pl061, 1, 1);
	assert_int_equal(edges(f), 1);
	out(f, IC, 2);
	assert_int_equal(in(f, MIS), 2);
	assert_int_equal(edges(f), 1);
	pl061_set_input(&f->pl061, 1, 0);
	assert_int_equal(in(f, MIS), 0);
	assert_int_equal(edges(f), 0);
}

/* The chained handler reads MIS, the edge handler writes IC, and 5 ms later
 * gpio-keys reads the line: for the press, then for the release. */
static void a_press_is_read_as_down_then_up(void **state)
{
	struct fixture *f = *state;

	out(f, IBE, 2);
	out(f, IC, 2);
	out(f, IE, 2);
	for (int press = 0; press < 3; press++) {
		pl061_press(&f->pl061, 1);
		pl061_press(&f->pl061, 1);
		assert_int_equal(edges(f), 1);
		assert_int_equal(in(f, MIS), 2);
		out(f, IC, 2);
		assert_int_equal(in(f, DATA(1)), 0); /* another line */
		assert_int_equal(edges(f), 0);
		assert_int_equal(in(f, DATA(2)), 2);
		assert_int_equal(edges(f), 1);
		assert_int_equal(in(f, MIS), 2);
		out(f, IC, 2);
		assert_int_equal(in(f, DATA(2)), 0);
		assert_int_equal(edges(f), 0);
	}
}

/* gpio-keys reads the lines when it starts. */
static void a_press_before_the_driver_is_not_lost(void **state)
{
	struct fixture *f = *state;

	pl061_press(&f->pl061, 1);
	out(f, IE, 0);
	out(f, IBE, 2);
	out(f, IC, 2);
	out(f, IE, 2);
	assert_int_equal(in(f, DATA(2)), 2);
	assert_int_equal(edges(f), 1);
	assert_int_equal(in(f, DATA(2)), 0);
}

static void any_access_is_survived(void **state)
{
	static const unsigned sizes[] = { 1, 2, 4, 8 };
	struct fixture *f = *state;
	uint64_t random = 1;

	for (int i = 0; i < 200000; i++) {
		unsigned size;
		uint64_t offset;

		random = random * 6364136223846793005 + 1442695040888963407;
		size = sizes[random >> 60 & 3];
		offset = (random >> 32) % (PL061_WINDOW - size + 1);
		if (random >> 59 & 1)
			pl061_bus_ops.write(&f->pl061, offset, size, random);
		else
			assert_true(pl061_bus_ops.read(&f->pl061, offset,
						       size) <= 0xff);
		if (random >> 58 & 1)
			pl061_press(&f->pl061, random >> 20 & 7);
	}
	assert_int_equal(in(f, 0x401), 0);
	assert_int_equal(in(f, 0xffd), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_id_is_that_of_a_pl061),
		TEST(registers_keep_a_byte),
		TEST(the_address_masks_the_data),
		TEST(edges_are_those_asked_for),
		TEST(a_masked_interrupt_waits),
		TEST(a_level_asks_again_when_it_is_cleared),
		TEST(a_press_is_read_as_down_then_up),
		TEST(a_press_before_the_driver_is_not_lost),
		TEST(any_access_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
