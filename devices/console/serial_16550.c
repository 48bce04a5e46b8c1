#include "devices/console/serial_16550.h"

#include <linux/serial_reg.h>

#include "base/fair_lock.h"

#define IER_MASK 0x0f
#define FCR_KEPT \
	(UART_FCR_ENABLE_FIFO | UART_FCR_DMA_SELECT | UART_FCR_TRIGGER_MASK)
#define MCR_MASK 0x1f
#define IIR_TIMEOUT 0x0c
#define IIR_FIFOS_ON 0xc0

/* Causes of interrupts. */
#define CAUSE_LINE 1
#define CAUSE_RX 2
#define CAUSE_TX 4
#define CAUSE_MODEM 8

static void fifo_put(struct serial_fifo *fifo, uint8_t byte)
{
	fifo->data[(fifo->head + fifo->count) % SERIAL_FIFO] = byte;
	fifo->count++;
}

static uint8_t fifo_get(struct serial_fifo *fifo)
{
	uint8_t byte = fifo->data[fifo->head];

	fifo->head = (fifo->head + 1) % SERIAL_FIFO;
	fifo->count--;
	return byte;
}

static void fifo_drop(struct serial_fifo *fifo, size_t len)
{
	fifo->head = (uint8_t)((fifo->head + len) % SERIAL_FIFO);
	fifo->count -= (uint8_t)len;
}

/* Without the FIFOs there is one holding register each way. */
static unsigned fifo_depth(const struct serial_state *s)
{
	return s->fcr & UART_FCR_ENABLE_FIFO ? SERIAL_FIFO : 1;
}

static unsigned rx_trigger(const struct serial_state *s)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	if (!(s->fcr & UART_FCR_ENABLE_FIFO))
		return 1;
	return levels[s->fcr >> 6];
}

static unsigned causes(const struct serial_state *s)
{
	unsigned pending = 0;

	if ((s->ier & UART_IER_RLSI) && s->lsr)
		pending |= CAUSE_LINE;
	if ((s->ier & UART_IER_RDI) && s->rx.count)
		pending |= CAUSE_RX;
	if ((s->ier & UART_IER_THRI) && s->thr_empty)
		pending |= CAUSE_TX;
	if ((s->ier & UART_IER_MSI) && s->msr)
		pending |= CAUSE_MODEM;
	return pending;
}

/* Raises the interrupt for causes that were not pending before. Each function
 * that changes the state ends with this. */
static void update_irq(struct serial *serial, unsigned before)
{
	if (causes(&serial->state) & ~before)
		irq_line_raise(serial->irq);
}

static uint8_t modem_lines(const struct serial_state *s)
{
	uint8_t lines = 0;

	if (!(s->mcr & UART_MCR_LOOP))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	if (s->mcr & UART_MCR_RTS)
		lines |= UART_MSR_CTS;
	if (s->mcr & UART_MCR_DTR)
		lines |= UART_MSR_DSR;
	if (s->mcr & UART_MCR_OUT1)
		lines |= UART_MSR_RI;
	if (s->mcr & UART_MCR_OUT2)
		lines |= UART_MSR_DCD;
	return lines;
}

/* --- transmit and receive --- */

/* Hands the FIFO to the backend, in at most two pieces where it wraps. */
static void tx_drain(struct serial *serial)
{
	struct serial_fifo *tx = &serial->state.tx;

	while (tx->count && !serial->blocked) {
		struct iovec piece = { .iov_base = tx->data + tx->head,
				       .iov_len = SERIAL_FIFO - tx->head };
		size_t taken;

		if (piece.iov_len > tx->count)
			piece.iov_len = tx->count;
		taken = serial->backend->put(serial->backend_ctx, &piece, 1);
		if (taken > piece.iov_len)
			taken = piece.iov_len;
		fifo_drop(tx, taken);
		serial->blocked = taken < piece.iov_len;
	}
	if (!tx->count)
		serial->state.thr_empty = 1;
}

static void tx_write(struct serial *serial, uint8_t byte)
{
	struct serial_state *s = &serial->state;

	s->thr_empty = 0;
	if (s->mcr & UART_MCR_LOOP) {
		if (s->rx.count < fifo_depth(s))
			fifo_put(&s->rx, byte);
		else
			s->lsr |= UART_LSR_OE;
		s->thr_empty = !s->tx.count;
		return;
	}
	/* A driver that writes without THRE loses bytes, as on hardware. */
	if (s->tx.count < fifo_depth(s))
		fifo_put(&s->tx, byte);
	tx_drain(serial);
}

/* Whether the guest listens. Input waits for that: a driver clears the FIFO
 * when it probes or opens the port, and would lose what was typed ahead or came
 * by a pipe. OUT2 connects a PC's UART to its interrupt line. */
static bool rx_open(const struct serial_state *s)
{
	return (s->ier & UART_IER_RDI) && (s->mcr & UART_MCR_OUT2) &&
	       !(s->mcr & UART_MCR_LOOP);
}

/* Asks for more input if some was refused, once the FIFO is empty rather than
 * for each byte. */
static void rx_refill(struct serial *serial)
{
	const struct serial_state *s = &serial->state;

	if (s->rx.count || !serial->rx_starved || !rx_open(s))
		return;
	serial->rx_starved = false;
	serial->backend->room(serial->backend_ctx);
}

static uint8_t rx_read(struct serial *serial)
{
	struct serial_state *s = &serial->state;
	uint8_t byte = s->rx.count ? fifo_get(&s->rx) : 0;

	rx_refill(serial);
	return byte;
}

static size_t port_receive(void *dev, const uint8_t *data, size_t len)
{
	struct serial *serial = dev;
	struct serial_state *s = &serial->state;
	unsigned before = causes(s);
	size_t taken = 0;

	if (rx_open(s)) {
		while (taken < len && s->rx.count < fifo_depth(s))
			fifo_put(&s->rx, data[taken++]);
	}
	if (taken < len)
		serial->rx_starved = true;
	update_irq(serial, before);
	return taken;
}

static void port_resume(void *dev)
{
	struct serial *serial = dev;
	unsigned before = causes(&serial->state);

	serial->blocked = false;
	if (serial->state.tx.count)
		tx_drain(serial);
	update_irq(serial, before);
}

/* --- registers --- */

static uint8_t read_iir(struct serial_state *s)
{
	unsigned pending = causes(s);
	uint8_t iir = s->fcr & UART_FCR_ENABLE_FIFO ? IIR_FIFOS_ON : 0;

	if (pending & CAUSE_LINE)
		return iir | UART_IIR_RLSI;
	if (pending & CAUSE_RX)
		return iir | (s->rx.count >= rx_trigger(s) ? UART_IIR_RDI
							   : IIR_TIMEOUT);
	if (pending & CAUSE_TX) {
		s->thr_empty = 0; /* reading IIR clears this cause only */
		return iir | UART_IIR_THRI;
	}
	if (pending & CAUSE_MODEM)
		return iir | UART_IIR_MSI;
	return iir | UART_IIR_NO_INT;
}

static uint8_t read_lsr(struct serial_state *s)
{
	uint8_t lsr = s->lsr;

	if (s->rx.count)
		lsr |= UART_LSR_DR;
	if (!s->tx.count)
		lsr |= UART_LSR_THRE | UART_LSR_TEMT;
	s->lsr = 0;
	return lsr;
}

static uint8_t read_msr(struct serial_state *s)
{
	uint8_t msr = modem_lines(s) | s->msr;

	s->msr = 0;
	return msr;
}

static uint64_t serial_read(void *dev, uint64_t offset, unsigned size)
{
	struct serial *serial = dev;
	struct serial_state *s = &serial->state;
	unsigned before = causes(s);
	uint8_t value = 0;

	(void)size; /* an access of any width reaches one register */
	switch (offset) {
	case UART_RX:
		if (s->lcr & UART_LCR_DLAB)
			value = s->dll;
		else
			value = rx_read(serial);
		break;
	case UART_IER:
		value = s->lcr & UART_LCR_DLAB ? s->dlm : s->ier;
		break;
	case UART_IIR:
		value = read_iir(s);
		break;
	case UART_LCR:
		value = s->lcr;
		break;
	case UART_MCR:
		value = s->mcr;
		break;
	case UART_LSR:
		value = read_lsr(s);
		break;
	case UART_MSR:
		value = read_msr(s);
		break;
	case UART_SCR:
		value = s->scratch;
		break;
	}
	update_irq(serial, before);
	return value;
}

static void write_ier(struct serial *serial, uint8_t value)
{
	struct serial_state *s = &serial->state;
	uint8_t added = value & ~s->ier;

	s->ier = value & IER_MASK;
	/* Enabling THRI while THR is empty interrupts at once: Linux starts
	 * its transmitter that way and tests for it. */
	if ((added & UART_IER_THRI) && !s->tx.count)
		s->thr_empty = 1;
	rx_refill(serial);
}

static void write_fcr(struct serial *serial, uint8_t value)
{
	struct serial_state *s = &serial->state;
	bool toggled = (s->fcr ^ value) & UART_FCR_ENABLE_FIFO;

	/* the other bits count only together with the enable bit */
	s->fcr = value & UART_FCR_ENABLE_FIFO ? value & FCR_KEPT : 0;
	/* By the data sheet, switching the FIFOs on or off clears both. Input
	 * is kept here, as Linux enables receive interrupts first, and some may
	 * have come since. */
	if (value & UART_FCR_CLEAR_RCVR) {
		s->rx.count = 0;
		rx_refill(serial);
	}
	if (toggled || (value & UART_FCR_CLEAR_XMIT)) {
		if (s->tx.count)
			s->thr_empty = 1;
		s->tx.count = 0;
	}
}

static void write_mcr(struct serial *serial, uint8_t value)
{
	struct serial_state *s = &serial->state;
	uint8_t before = modem_lines(s), changed;

	s->mcr = value & MCR_MASK;
	changed = before ^ modem_lines(s);
	/* a delta's bit is four below that of its line; that of RI is set only
	 * when RI falls */
	if (!(before & UART_MSR_RI))
		changed &= (uint8_t)~UART_MSR_RI;
	s->msr |= changed >> 4;
	rx_refill(serial);
}

static void serial_write(void *dev, uint64_t offset, unsigned size,
			 uint64_t value64)
{
	struct serial *serial = dev;
	struct serial_state *s = &serial->state;
	unsigned before = causes(s);
	uint8_t value = (uint8_t)value64;

	(void)size;
	switch (offset) {
	case UART_TX:
		if (s->lcr & UART_LCR_DLAB)
			s->dll = value;
		else
			tx_write(serial, value);
		break;
	case UART_IER:
		if (s->lcr & UART_LCR_DLAB)
			s->dlm = value;
		else
			write_ier(serial, value);
		break;
	case UART_FCR:
		write_fcr(serial, value);
		break;
	case UART_LCR:
		s->lcr = value;
		break;
	case UART_MCR:
		write_mcr(serial, value);
		break;
	case UART_SCR:
		s->scratch = value;
		break;
	}
	update_irq(serial, before);
}

const struct bus_ops serial_bus_ops = {
	.read = serial_read,
	.write = serial_write,
};

void serial_init(struct serial *serial, struct irq_line irq,
		 const struct console_backend *backend, void *ctx)
{
	*serial = (struct serial){
		.irq = irq,
		.backend = backend,
		.backend_ctx = ctx,
		.state.dll = 1, /* 115200 baud, for a guest that asks */
	};
	fair_lock_init(&serial->lock);
}

void serial_destroy(struct serial *serial)
{
	pthread_mutex_destroy(&serial->lock);
}

struct console_port serial_console_port(struct serial *serial)
{
	static const struct console_port_ops ops = {
		.receive = port_receive,
		.resume = port_resume,
	};

	return (struct console_port){ &ops, serial, &serial->lock };
}
