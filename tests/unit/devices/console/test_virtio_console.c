#include "tests/unit/unit.h"

#include <linux/virtio_console.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "devices/console/virtio_console.h"
#include "tests/fake_driver.h"

#define RX VIRTIO_CONSOLE_RX
#define TX VIRTIO_CONSOLE_TX
#define SIZE (1ULL << VIRTIO_CONSOLE_F_SIZE)
#define EVENT_IDX (1ULL << VIRTIO_RING_F_EVENT_IDX)
#define EMERG 8 /* where in configuration space */

struct fixture {
	struct fake_driver d;
	struct virtio_device *dev;
	struct console_port port;
	size_t accept; /* bytes that put() takes until the next resume() */
	unsigned puts, rooms;
	const char *input; /* what room() gives, again and again */
	unsigned given;
	size_t out_len;
	uint8_t out[2 << 20];
};

static size_t backend_put(void *ctx, struct iovec *iov, unsigned count)
{
	struct fixture *f = ctx;
	size_t taken = 0;

	f->puts++;
	assert_true(count > 0);
	for (unsigned i = 0; i < count; i++) {
		size_t len = iov[i].iov_len;

		assert_true(len > 0);
		if (len > f->accept - taken)
			len = f->accept - taken;
		memcpy(f->out + f->out_len, iov[i].iov_base, len);
		f->out_len += len;
		taken += len;
	}
	return taken;
}

static void give_rx(struct fixture *f, uint32_t len)
{
	struct fake_buffer b = { fake_alloc(&f->d, len, 1), len };

	fake_add(&f->d, RX, &b, 0, 1);
}

static size_t receive(struct fixture *f, const char *text)
{
	return f->port.ops->receive(f->port.dev, (const uint8_t *)text,
				    strlen(text));
}

static void backend_room(void *ctx)
{
	struct fixture *f = ctx;

	f->rooms++;
	/* as if another vCPU gave buffers all the time */
	while (f->input && f->given < 1000) {
		give_rx(f, 1);
		if (!receive(f, f->input))
			break;
		f->given++;
	}
}

static int setup(void **state)
{
	static const struct console_backend backend = {
		.put = backend_put,
		.room = backend_room,
	};
	static struct fixture f;
	const struct virtio_console_options options = {
		.backend = &backend,
		.backend_ctx = &f,
	};
	struct error err;

	memset(&f, 0, sizeof(f));
	f.accept = sizeof(f.out);
	fake_init(&f.d);
	f.dev = virtio_console_create(&options, &f.d.mem, f.d.loop, &err);
	f.port = virtio_console_port(f.dev);
	fake_attach(&f.d, f.dev);
	*state = &f;
	return !f.dev;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	virtio_device_destroy(f->dev);
	virtio_device_destroy(NULL);
	fake_fini(&f->d);
	return 0;
}

static struct fake_buffer text_buffer(struct fixture *f, const char *text)
{
	uint32_t len = (uint32_t)strlen(text);
	struct fake_buffer b = { fake_alloc(&f->d, len, 1), len };

	memcpy(fake_ptr(&f->d, b.gpa), text, len);
	return b;
}

static void print(struct fixture *f, const char *text)
{
	struct fake_buffer b = text_buffer(f, text);

	fake_add(&f->d, TX, &b, 1, 0);
	fake_kick(&f->d, TX);
}

static void resume(struct fixture *f, size_t accept)
{
	f->accept = accept;
	f->port.ops->resume(f->port.dev);
}

static void assert_out(struct fixture *f, const char *text)
{
	assert_int_equal(f->out_len, strlen(text));
	assert_memory_equal(f->out, text, f->out_len);
}

/* As Linux does, once it is done with its set-up. */
static void open_input(struct fixture *f)
{
	fake_config(&f->d, 0, 2);
	fake_config(&f->d, 2, 2);
}

/* --- output --- */

static void a_buffer_goes_out_with_one_put_and_one_interrupt(void **state)
{
	struct fixture *f = *state;
	uint32_t head, len;

	fake_start(&f->d, 0, 8);
	print(f, "hello");
	assert_out(f, "hello");
	assert_int_equal(f->puts, 1);
	assert_true(fake_get_used(&f->d, TX, &head, &len));
	assert_int_equal(len, 0);
	assert_int_equal(fake_interrupts(&f->d), 1);
}

static void a_chain_of_buffers_goes_out_with_one_put(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b[3];

	fake_start(&f->d, 0, 8);
	b[0] = text_buffer(f, "one ");
	fake_alloc(&f->d, 7, 1); /* no neighbours */
	b[1] = text_buffer(f, "two ");
	fake_alloc(&f->d, 7, 1);
	b[2] = text_buffer(f, "three");
	fake_add(&f->d, TX, b, 3, 0);
	fake_kick(&f->d, TX);
	assert_out(f, "one two three");
	assert_int_equal(f->puts, 1);
}

static void what_is_refused_goes_out_later_from_where_it_was(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	f->accept = 3;
	print(f, "hello world");
	print(f, "!");
	assert_out(f, "hel");
	assert_int_equal(f->puts, 1); /* not asked again until resume() */
	assert_int_equal(fake_used_idx(&f->d, TX), 0);
	assert_int_equal(fake_interrupts(&f->d), 0);
	resume(f, 4);
	assert_out(f, "hello w");
	assert_int_equal(fake_used_idx(&f->d, TX), 0);
	resume(f, 0);
	resume(f, 100);
	assert_out(f, "hello world!");
	assert_int_equal(fake_used_idx(&f->d, TX), 2);
	assert_int_equal(fake_interrupts(&f->d), 1);
}

static void a_turn_of_output_is_bounded(void **state)
{
	struct fixture *f = *state;
	uint64_t gpa = fake_alloc(&f->d, 0x40000, 1);
	struct fake_buffer b[4] = {
		{ gpa, 0x40000 }, { gpa, 0x40000 }, { gpa, 0x40000 }, { gpa, 1 }
	};

	fake_start(&f->d, 0, 8);
	for (size_t i = 0; i < 0x40000; i++)
		((uint8_t *)fake_ptr(&f->d, gpa))[i] = (uint8_t)(i / 3);
	fake_add(&f->d, TX, b, 4, 0);
	fake_kick(&f->d, TX);
	assert_in_range(f->out_len, 1, 0x40000);
	for (int i = 0; i < 10; i++)
		fake_run_loop(&f->d);
	assert_int_equal(f->out_len, 3 * 0x40000 + 1);
	for (int i = 0; i < 3; i++)
		assert_memory_equal(f->out + i * 0x40000, fake_ptr(&f->d, gpa),
				    0x40000);
	assert_int_equal(fake_used_idx(&f->d, TX), 1);
}

static void chains_without_bytes_come_back(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b[2] = { { FAKE_RAM_BASE, 0 },
				    { FAKE_RAM_BASE, 0 } };

	fake_start(&f->d, 0, 8);
	fake_add(&f->d, TX, b, 1, 0);
	fake_add(&f->d, TX, b, 2, 0);
	fake_kick(&f->d, TX);
	assert_int_equal(fake_used_idx(&f->d, TX), 2);
	assert_int_equal(f->puts, 0);
	print(f, "x");
	assert_out(f, "x");
}

static void a_chain_that_shrinks_meanwhile_comes_back(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = text_buffer(f, "0123456789");
	uint16_t head;

	fake_start(&f->d, 0, 8);
	f->accept = 6;
	head = fake_add(&f->d, TX, &b, 1, 0);
	fake_kick(&f->d, TX);
	fake_desc(&f->d, f->d.queues[TX].desc, head, b.gpa, 4, 0, 0);
	resume(f, 100);
	assert_int_equal(fake_used_idx(&f->d, TX), 1);
	print(f, "next");
	assert_out(f, "012345next");
}

static void it_keeps_printing_as_indexes_wrap(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = text_buffer(f, "x");
	uint32_t head, len;

	fake_start(&f->d, EVENT_IDX, 8);
	for (int i = 0; i < 70000; i++) {
		fake_add(&f->d, TX, &b, 1, 0);
		fake_kick(&f->d, TX);
		assert_true(fake_get_used(&f->d, TX, &head, &len));
	}
	assert_int_equal(f->out_len, 70000);
}

static void emergency_writes_need_no_driver(void **state)
{
	struct fixture *f = *state;

	assert_true(f->dev->features & 1ULL << VIRTIO_CONSOLE_F_EMERG_WRITE);
	fake_write(&f->d, VIRTIO_MMIO_CONFIG + EMERG, 0xffffff00 | '!');
	assert_out(f, "!");
	fake_write(&f->d, VIRTIO_MMIO_CONFIG, 'a');
	fake_write(&f->d, VIRTIO_MMIO_CONFIG + 4, 'b');
	assert_out(f, "!");
	fake_start(&f->d, 0, 8);
	f->accept = 0;
	for (int i = 0; i < 3; i++)
		fake_write(&f->d, VIRTIO_MMIO_CONFIG + EMERG, '?');
	assert_int_equal(f->puts, 2);
	print(f, "later");
	resume(f, 100);
	assert_out(f, "!later");
	fake_write(&f->d, VIRTIO_MMIO_CONFIG + EMERG, '.');
	assert_out(f, "!later.");
}

/* --- input --- */

static void input_fills_buffers_in_order(void **state)
{
	struct fixture *f = *state;
	uint32_t head, len;
	uint64_t gpa = f->d.next_alloc;

	fake_start(&f->d, 0, 8);
	gpa = f->d.next_alloc;
	give_rx(f, 4);
	give_rx(f, 4096);
	give_rx(f, 4096);
	fake_kick(&f->d, RX);
	assert_int_equal(receive(f, "hello"), 5);
	assert_true(fake_get_used(&f->d, RX, &head, &len));
	assert_int_equal(len, 4);
	assert_true(fake_get_used(&f->d, RX, &head, &len));
	assert_int_equal(len, 1);
	assert_memory_equal(fake_ptr(&f->d, gpa), "hello", 5);
	assert_int_equal(fake_interrupts(&f->d), 1);
	assert_int_equal(receive(f, "world"), 5);
	assert_memory_equal(fake_ptr(&f->d, gpa + 4 + 4096), "world", 5);
	assert_int_equal(f->rooms, 0);
}

static void input_without_buffers_waits_for_them(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	assert_int_equal(receive(f, "hello"), 0);
	give_rx(f, 2);
	fake_kick(&f->d, RX);
	assert_int_equal(f->rooms, 1);
	assert_int_equal(receive(f, "hello"), 2);
	give_rx(f, 16);
	fake_kick(&f->d, RX);
	assert_int_equal(f->rooms, 2);
	assert_int_equal(receive(f, "llo"), 3);
	/* nothing is waiting any more */
	give_rx(f, 16);
	fake_kick(&f->d, RX);
	assert_int_equal(f->rooms, 2);
}

static uint16_t used_flags(struct fixture *f)
{
	const uint8_t *used = fake_ptr(&f->d, f->d.queues[RX].used);

	return used[0];
}

static void a_driver_need_not_kick_while_no_input_waits(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	give_rx(f, 16);
	fake_kick(&f->d, RX);
	assert_int_equal(used_flags(f), 1);
	assert_int_equal(receive(f, "hello"), 5);
	assert_int_equal(used_flags(f), 1);
	assert_int_equal(receive(f, "hello"), 0);
	assert_int_equal(used_flags(f), 0);
}

/* Linux's driver frees buffers that are used before its port is listed. */
static void input_waits_until_the_driver_has_read_the_size(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(receive(f, "early"), 0);
	fake_config(&f->d, 0, 2);
	fake_start(&f->d, SIZE, 8);
	/* it is asked to read it */
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS),
			 VIRTIO_MMIO_INT_CONFIG);
	give_rx(f, 16);
	fake_kick(&f->d, RX);
	fake_config(&f->d, EMERG, 4);
	assert_int_equal(receive(f, "early"), 0);
	assert_int_equal(fake_used_idx(&f->d, RX), 0);
	f->rooms = 0;
	open_input(f);
	assert_int_equal(f->rooms, 1);
	assert_int_equal(receive(f, "early"), 5);
	/* and again after a reset */
	fake_start(&f->d, SIZE, 8);
	give_rx(f, 16);
	assert_int_equal(receive(f, "x"), 0);
}

static void input_comes_to_a_driver_that_prints(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, SIZE, 8);
	give_rx(f, 16);
	fake_kick(&f->d, RX);
	assert_int_equal(receive(f, "x"), 0);
	f->accept = 0;
	f->rooms = 0;
	print(f, "login: ");
	assert_int_equal(f->rooms, 1);
	assert_int_equal(receive(f, "x"), 1);
}

static void buffers_given_before_driver_ok_are_used(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(receive(f, "x"), 0);
	fake_negotiate(&f->d, 0);
	fake_setup_queue(&f->d, RX, 8);
	fake_setup_queue(&f->d, TX, 8);
	give_rx(f, 16);
	fake_driver_ok(&f->d);
	assert_int_equal(f->rooms, 1);
	assert_int_equal(receive(f, "x"), 1);
}

static void a_turn_of_input_is_bounded(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	receive(f, "xy");
	f->input = "xy";
	fake_kick(&f->d, RX);
	assert_in_range(f->given, 1, 100);
	for (int i = 0; i < 100; i++)
		fake_run_loop(&f->d);
	assert_int_equal(f->given, 1000);
}

/* --- the terminal's size --- */

static void a_driver_hears_of_a_new_size(void **state)
{
	struct fixture *f = *state;

	f->port.ops->resize(f->port.dev, 80, 25);
	fake_start(&f->d, SIZE, 8);
	fake_write(&f->d, VIRTIO_MMIO_INTERRUPT_ACK, 3);
	fake_interrupts(&f->d);
	assert_int_equal(fake_config(&f->d, 0, 4), 25 << 16 | 80);
	f->port.ops->resize(f->port.dev, 80, 25); /* is none */
	assert_int_equal(fake_interrupts(&f->d), 0);
	f->port.ops->resize(f->port.dev, 300, 100);
	assert_int_equal(fake_interrupts(&f->d), 1);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS),
			 VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(fake_config(&f->d, 0, 4), 100 << 16 | 300);
}

static void a_size_is_not_told_to_who_does_not_want_it(void **state)
{
	struct fixture *f = *state;

	f->port.ops->resize(f->port.dev, 80, 25);
	fake_start(&f->d, 0, 8);
	f->port.ops->resize(f->port.dev, 90, 25);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	f->port.ops->resize(f->port.dev, 100, 25);
	assert_int_equal(fake_interrupts(&f->d), 0);
}

/* --- drivers that break the rules, and resets --- */

static void bad_rings_need_a_reset(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	fake_set_avail_idx(&f->d, TX, 0x1000);
	fake_kick(&f->d, TX);
	assert_true(fake_needs_reset(&f->d));
	fake_start(&f->d, 0, 8);
	fake_set_avail_idx(&f->d, RX, 0x1000);
	assert_int_equal(receive(f, "x"), 0);
	assert_true(fake_needs_reset(&f->d));
	assert_int_equal(receive(f, "x"), 0);
	resume(f, 100);
	fake_start(&f->d, 0, 8);
	print(f, "ok");
	assert_out(f, "ok");
}

static void buffers_of_the_wrong_direction_need_a_reset(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b[2] = { { FAKE_RAM_BASE, 8 },
				    { FAKE_RAM_BASE, 8 } };

	fake_start(&f->d, 0, 8);
	fake_add(&f->d, TX, b, 1, 1);
	fake_kick(&f->d, TX);
	assert_true(fake_needs_reset(&f->d));
	assert_int_equal(f->puts, 0);
	for (unsigned outs = 1; outs <= 2; outs++) {
		fake_start(&f->d, 0, 8);
		fake_add(&f->d, RX, b, outs, 2 - outs);
		assert_int_equal(receive(f, "x"), 0);
		assert_true(fake_needs_reset(&f->d));
	}
	fake_start(&f->d, 0, 8);
	b[0].len = 0;
	fake_add(&f->d, RX, b, 0, 1);
	assert_int_equal(receive(f, "x"), 0);
	assert_true(fake_needs_reset(&f->d));
}

static void kicks_before_driver_ok_do_nothing(void **state)
{
	struct fixture *f = *state;

	receive(f, "x");
	fake_kick(&f->d, TX);
	fake_negotiate(&f->d, 0);
	fake_setup_queue(&f->d, RX, 8);
	fake_setup_queue(&f->d, TX, 8);
	print(f, "too early");
	fake_kick(&f->d, RX);
	resume(f, 100);
	assert_int_equal(f->puts, 0);
	assert_int_equal(f->rooms, 0);
	fake_driver_ok(&f->d);
	fake_kick(&f->d, TX);
	assert_out(f, "too early");
}

static void a_reset_forgets_what_was_not_taken(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	f->accept = 4;
	print(f, "first life");
	fake_start(&f->d, 0, 8);
	print(f, "second");
	assert_out(f, "firs");
	assert_int_equal(f->puts, 1);
	resume(f, 100);
	assert_out(f, "firssecond");
}

static void a_stopped_queue_leaves_the_other_alone(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, 8);
	give_rx(f, 16);
	f->accept = 1;
	print(f, "xyz");
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, TX);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
	resume(f, 100);
	fake_kick(&f->d, TX);
	assert_out(f, "x");
	assert_int_equal(receive(f, "a"), 1);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, RX);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(receive(f, "a"), 0);
	fake_kick(&f->d, RX);
	assert_false(fake_needs_reset(&f->d));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_buffer_goes_out_with_one_put_and_one_interrupt),
		TEST(a_chain_of_buffers_goes_out_with_one_put),
		TEST(what_is_refused_goes_out_later_from_where_it_was),
		TEST(a_turn_of_output_is_bounded),
		TEST(chains_without_bytes_come_back),
		TEST(a_chain_that_shrinks_meanwhile_comes_back),
		TEST(it_keeps_printing_as_indexes_wrap),
		TEST(emergency_writes_need_no_driver),
		TEST(input_fills_buffers_in_order),
		TEST(input_without_buffers_waits_for_them),
		TEST(a_driver_need_not_kick_while_no_input_waits),
		TEST(input_waits_until_the_driver_has_read_the_size),
		TEST(input_comes_to_a_driver_that_prints),
		TEST(buffers_given_before_driver_ok_are_used),
		TEST(a_turn_of_input_is_bounded),
		TEST(a_driver_hears_of_a_new_size),
		TEST(a_size_is_not_told_to_who_does_not_want_it),
		TEST(bad_rings_need_a_reset),
		TEST(buffers_of_the_wrong_direction_need_a_reset),
		TEST(kicks_before_driver_ok_do_nothing),
		TEST(a_reset_forgets_what_was_not_taken),
		TEST(a_stopped_queue_leaves_the_other_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
