#include "tests/unit/unit.h"

#include <linux/serial_reg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/serial_host.h"

struct fixture {
	struct serial serial;
	int irq_fd;
	size_t accept; /* bytes the backend takes per call */
	unsigned puts;
	unsigned rooms;
	char out[256];
	size_t out_len;
};

static size_t backend_put(void *ctx, struct iovec *iov, unsigned count)
{
	struct fixture *f = ctx;
	size_t len = iov->iov_len;
	size_t take = len < f->accept ? len : f->accept;

	assert_int_equal(count, 1);
	f->puts++;
	memcpy(f->out + f->out_len, iov->iov_base, take);
	f->out_len += take;
	return take;
}

static void backend_room(void *ctx)
{
	((struct fixture *)ctx)->rooms++;
}

static const struct console_backend backend = {
	.put = backend_put,
	.room = backend_room,
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .accept = 16 };
	f.irq_fd = eventfd(0, EFD_NONBLOCK);
	serial_init(&f.serial, (struct irq_line){ .fd = f.irq_fd }, &backend,
		    &f);
	*state = &f;
	return f.irq_fd < 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	serial_destroy(&f->serial);
	close(f->irq_fd);
	return 0;
}

static uint8_t in(struct fixture *f, unsigned reg)
{
	return (uint8_t)serial_bus_ops.read(&f->serial, reg, 1);
}

static void out(struct fixture *f, unsigned reg, uint8_t value)
{
	serial_bus_ops.write(&f->serial, reg, 1, value);
}

static uint64_t edges(struct fixture *f)
{
	uint64_t count;

	if (read(f->irq_fd, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

/* As a driver that has the port open. */
static void listen_for_input(struct fixture *f)
{
	out(f, UART_MCR, UART_MCR_OUT2);
	out(f, UART_IER, UART_IER_RDI | UART_IER_RLSI);
}

/* The steps of autoconfig() in Linux's 8250_port.c. */
static void linux_autoconfig_finds_a_16550a(void **state)
{
	struct fixture *f = *state;

	out(f, UART_IER, 0);
	assert_int_equal(in(f, UART_IER), 0);
	out(f, UART_IER, 0xff);
	assert_int_equal(in(f, UART_IER), 0x0f);
	out(f, UART_IER, 0);
	out(f, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	assert_int_equal(in(f, UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_CTS);
	out(f, UART_MCR, 0);
	out(f, UART_LCR, UART_LCR_CONF_MODE_B);
	out(f, UART_FCR, 0);
	out(f, UART_LCR, 0);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(in(f, UART_IIR) >> 6, 3);
	/* not a 16650, whose EFR would read 0 behind either LCR */
	out(f, UART_LCR, UART_LCR_CONF_MODE_A);
	assert_int_not_equal(in(f, UART_EFR), 0);
	out(f, UART_LCR, UART_LCR_CONF_MODE_B);
	assert_int_not_equal(in(f, UART_EFR), 0);
	/* not a 16750 */
	out(f, UART_LCR, 0);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR7_64BYTE);
	assert_int_equal(in(f, UART_IIR) & 0x20, 0);
	/* not an XScale: no UUE bit */
	out(f, UART_IER, UART_IER_UUE);
	assert_int_equal(in(f, UART_IER) & UART_IER_UUE, 0);
}

static void scratch_and_divisor_registers_hold_their_values(void **state)
{
	struct fixture *f = *state;

	out(f, UART_SCR, 0x5a);
	assert_int_equal(in(f, UART_SCR), 0x5a);
	out(f, UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
	out(f, UART_DLL, 0x34);
	out(f, UART_DLM, 0x12);
	assert_int_equal(in(f, UART_DLL), 0x34);
	assert_int_equal(in(f, UART_DLM), 0x12);
	assert_int_equal(f->out_len, 0);
	out(f, UART_LCR, UART_LCR_WLEN8);
	assert_int_equal(in(f, UART_IER), 0);
}

static void a_written_byte_goes_out_with_one_put(void **state)
{
	struct fixture *f = *state;

	out(f, UART_TX, 'x');
	assert_int_equal(f->puts, 1);
	assert_memory_equal(f->out, "x", 1);
	assert_int_equal(in(f, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
}

static void enabling_thri_on_an_idle_line_interrupts_each_time(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++) {
		out(f, UART_IER, UART_IER_THRI);
		assert_int_equal(edges(f), 1);
		assert_int_equal(in(f, UART_IIR) & 0xf, UART_IIR_THRI);
		assert_int_equal(in(f, UART_IIR) & 0xf, UART_IIR_NO_INT);
		out(f, UART_IER, 0);
	}
	assert_int_equal(edges(f), 0);
}

static void a_refused_byte_stays_and_holds_thre_down(void **state)
{
	struct fixture *f = *state;

	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(f, UART_IER, UART_IER_THRI);
	in(f, UART_IIR);
	edges(f);
	f->accept = 0;
	for (int i = 0; i < 16; i++)
		out(f, UART_TX, (uint8_t)('a' + i));
	assert_int_equal(f->puts, 1); /* not asked again until resume */
	assert_int_equal(in(f, UART_LSR) & UART_LSR_THRE, 0);
	assert_int_equal(in(f, UART_IIR) & 0xf, UART_IIR_NO_INT);
	assert_int_equal(edges(f), 0);

	f->accept = 5; /* takes a part only */
	serial_resume(&f->serial);
	assert_int_equal(in(f, UART_LSR) & UART_LSR_THRE, 0);
	assert_int_equal(edges(f), 0);
	f->accept = 16;
	serial_resume(&f->serial);
	assert_int_equal(edges(f), 1);
	assert_int_equal(in(f, UART_IIR) & 0xf, UART_IIR_THRI);
	assert_int_equal(f->out_len, 16);
	assert_memory_equal(f->out, "abcdefghijklmnop", 16);
	assert_true(in(f, UART_LSR) & UART_LSR_TEMT);
}

static void the_transmit_fifo_wraps_without_loss(void **state)
{
	struct fixture *f = *state;

	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	f->accept = 3;
	for (int round = 0; round < 6; round++) {
		for (int i = 0; i < 10; i++)
			out(f, UART_TX, (uint8_t)('0' + i));
		while (!(in(f, UART_LSR) & UART_LSR_THRE))
			serial_resume(&f->serial);
	}
	assert_int_equal(f->out_len, 60);
	for (size_t i = 0; i < f->out_len; i++)
		assert_int_equal(f->out[i], '0' + i % 10);
}

static void input_interrupts_once_and_is_read_in_order(void **state)
{
	struct fixture *f = *state;

	out(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8);
	listen_for_input(f);
	assert_int_equal(
		serial_receive(&f->serial, (const uint8_t *)"hello", 5), 5);
	assert_int_equal(edges(f), 1);
	/* below the trigger level: character timeout */
	assert_int_equal(in(f, UART_IIR) & 0xf, 0x0c);
	serial_receive(&f->serial, (const uint8_t *)"world", 5);
	assert_int_equal(edges(f), 0); /* the same cause, still pending */
	assert_int_equal(in(f, UART_IIR) & 0xf, UART_IIR_RDI);
	for (const char *c = "helloworld"; *c; c++) {
		assert_true(in(f, UART_LSR) & UART_LSR_DR);
		assert_int_equal(in(f, UART_RX), *c);
	}
	assert_int_equal(in(f, UART_IIR) & 0xf, UART_IIR_NO_INT);
	assert_int_equal(in(f, UART_RX), 0);
}

static void input_beyond_the_fifo_waits_and_room_is_told(void **state)
{
	struct fixture *f = *state;
	const uint8_t data[20] = "01234567890123456789";

	listen_for_input(f);
	assert_int_equal(serial_receive(&f->serial, data, 20), 1);
	in(f, UART_RX);
	assert_int_equal(f->rooms, 1);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(serial_receive(&f->serial, data, 20), 16);
	for (int i = 0; i < 15; i++)
		in(f, UART_RX);
	assert_int_equal(f->rooms, 1);
	in(f, UART_RX);
	assert_int_equal(f->rooms, 2);
	serial_receive(&f->serial, data, 20);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	assert_int_equal(in(f, UART_LSR) & UART_LSR_DR, 0);
	assert_int_equal(f->rooms, 3);
}

static void loopback_returns_bytes_and_cuts_the_line_off(void **state)
{
	struct fixture *f = *state;

	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	listen_for_input(f);
	out(f, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2);
	assert_int_equal(serial_receive(&f->serial, (const uint8_t *)"x", 1),
			 0);
	for (int i = 0; i < 17; i++)
		out(f, UART_TX, (uint8_t)i);
	assert_int_equal(f->out_len, 0);
	assert_int_equal(in(f, UART_IIR) & 0xf, UART_IIR_RLSI);
	assert_true(in(f, UART_LSR) & UART_LSR_OE); /* the 17th */
	assert_false(in(f, UART_LSR) & UART_LSR_OE);
	for (int i = 0; i < 16; i++)
		assert_int_equal(in(f, UART_RX), i);
	assert_int_equal(f->rooms, 0);
	out(f, UART_MCR, UART_MCR_OUT2);
	assert_int_equal(f->rooms, 1); /* the "x" is welcome again */
}

/* Probing and opening a port clears its FIFO and reads its registers: input
 * that came before must not get lost there. */
static void input_waits_until_a_driver_listens(void **state)
{
	struct fixture *f = *state;
	const uint8_t *early = (const uint8_t *)"early";

	assert_int_equal(serial_receive(&f->serial, early, 5), 0);
	out(f, UART_IER, 0x0f); /* autoconfig tests IER with OUT2 off */
	out(f, UART_IER, 0);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	out(f, UART_FCR, 0);
	out(f, UART_MCR, UART_MCR_OUT2);
	in(f, UART_RX);
	assert_int_equal(f->rooms, 0);
	out(f, UART_IER, UART_IER_RDI);
	assert_int_equal(f->rooms, 1);
	/* Linux's set_termios() enables the FIFO after the interrupts */
	assert_int_equal(serial_receive(&f->serial, early, 5), 1);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(serial_receive(&f->serial, early + 1, 4), 4);
	for (const char *c = "early"; *c; c++)
		assert_int_equal(in(f, UART_RX), *c);
}

static void modem_lines_follow_mcr_in_loopback_with_deltas(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(in(f, UART_MSR),
			 UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
	out(f, UART_IER, UART_IER_MSI);
	out(f, UART_MCR, UART_MCR_LOOP);
	assert_int_equal(edges(f), 1);
	assert_int_equal(in(f, UART_IIR) & 0xf, UART_IIR_MSI);
	assert_int_equal(in(f, UART_MSR),
			 UART_MSR_DDCD | UART_MSR_DDSR | UART_MSR_DCTS);
	assert_int_equal(in(f, UART_MSR), 0);
	assert_int_equal(in(f, UART_IIR) & 0xf, UART_IIR_NO_INT);
	out(f, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1);
	assert_int_equal(in(f, UART_MSR), UART_MSR_RI);
	out(f, UART_MCR, UART_MCR_LOOP);
	assert_int_equal(in(f, UART_MSR), UART_MSR_TERI);
}

static void the_16th_put_does_not_need_16_edges(void **state)
{
	struct fixture *f = *state;

	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(f, UART_IER, UART_IER_THRI);
	in(f, UART_IIR);
	edges(f);
	for (int i = 0; i < 16; i++)
		out(f, UART_TX, 'x');
	assert_int_equal(edges(f), 1);
	assert_int_equal(in(f, UART_IIR) & 0xf, UART_IIR_THRI);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(linux_autoconfig_finds_a_16550a),
		TEST(scratch_and_divisor_registers_hold_their_values),
		TEST(a_written_byte_goes_out_with_one_put),
		TEST(enabling_thri_on_an_idle_line_interrupts_each_time),
		TEST(a_refused_byte_stays_and_holds_thre_down),
		TEST(the_transmit_fifo_wraps_without_loss),
		TEST(input_interrupts_once_and_is_read_in_order),
		TEST(input_beyond_the_fifo_waits_and_room_is_told),
		TEST(input_waits_until_a_driver_listens),
		TEST(loopback_returns_bytes_and_cuts_the_line_off),
		TEST(modem_lines_follow_mcr_in_loopback_with_deltas),
		TEST(the_16th_put_does_not_need_16_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
