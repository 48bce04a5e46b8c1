/* Register accesses, input and backpressure in any order. */
#include <stdlib.h>
#include <sys/eventfd.h>

#include "tests/serial_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct backend {
	struct serial serial;
	uint8_t accept;
};

static size_t put(void *ctx, struct iovec *iov, unsigned count)
{
	const struct backend *backend = ctx;
	const uint8_t *data = iov->iov_base;
	volatile uint8_t sum = 0;

	for (size_t i = 0; i < iov->iov_len; i++)
		sum = (uint8_t)(sum + data[i]);
	if (count != 1 || !iov->iov_len || iov->iov_len > SERIAL_FIFO)
		abort();
	/* sometimes more than was offered: a backend's lie */
	return backend->accept;
}

static void room(void *ctx)
{
	static const uint8_t more[3] = "abc";
	struct backend *backend = ctx;

	serial_receive(&backend->serial, more, backend->accept % 4);
}

static const struct console_backend ops = { .put = put, .room = room };

static void step(struct backend *backend, uint8_t op, uint8_t value)
{
	static const uint8_t input[32];
	struct serial *serial = &backend->serial;

	switch (op >> 5) {
	case 0:
	case 1:
	case 2:
		serial_bus_ops.write(serial, op & 7, 1, value);
		break;
	case 3:
	case 4:
		if (serial_bus_ops.read(serial, op & 7, 1) > 0xff)
			abort();
		break;
	case 5:
		if (serial_receive(serial, input, value % 32) > value % 32)
			abort();
		break;
	case 6:
		serial_resume(serial);
		break;
	case 7:
		backend->accept = value % 20;
		break;
	}
	if (serial->state.rx.count > SERIAL_FIFO ||
	    serial->state.tx.count > SERIAL_FIFO)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int irq_fd = -1;
	struct backend backend = { .accept = 16 };

	if (irq_fd < 0)
		irq_fd = eventfd(0, EFD_NONBLOCK);
	serial_init(&backend.serial, (struct irq_line){ .fd = irq_fd }, &ops,
		    &backend);
	for (size_t i = 0; i + 1 < size; i += 2)
		step(&backend, data[i], data[i + 1]);
	serial_destroy(&backend.serial);
	return 0;
}
