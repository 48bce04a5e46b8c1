/* A 16550A UART (PC16550D data sheet; registers at offsets 0 to 7).
 *
 * The port has no baud rate. It sends a byte as soon as the backend takes it,
 * and reports a character timeout as soon as the receive FIFO is below its
 * trigger level. If the backend refuses bytes, they stay in the transmit FIFO,
 * and THRE stays 0 until the host's end calls resume(): the guest waits as it
 * would for a slow line.
 *
 * The port raises its interrupt once for each cause that becomes pending.
 * Linux's 8250 driver reads IIR until nothing is pending, so it misses none.
 *
 * serial->lock is held around all calls: the bus takes it for register
 * accesses, and the host's end for those of console_port.h. Nothing blocks.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bus.h"
#include "base/irq_line.h"
#include "devices/console/console_port.h"

#define SERIAL_WINDOW 8 /* ports */
#define SERIAL_FIFO 16	/* bytes each way */

struct serial_fifo {
	uint8_t head; /* index of the oldest byte */
	uint8_t count;
	uint8_t data[SERIAL_FIFO];
};

/* State saved in a snapshot. */
struct serial_state {
	uint8_t ier;
	uint8_t fcr; /* as last written, FIFO reset bits excluded */
	uint8_t lcr;
	uint8_t mcr;
	uint8_t lsr; /* OE only; DR, THRE and TEMT follow the FIFOs */
	uint8_t msr; /* deltas only; the lines follow MCR */
	uint8_t scratch;
	uint8_t dll;
	uint8_t dlm;
	uint8_t thr_empty; /* THRE interrupt not yet seen in IIR */
	struct serial_fifo rx;
	struct serial_fifo tx;
};

struct serial {
	pthread_mutex_t lock;
	struct serial_state state;
	struct irq_line irq;
	const struct console_backend *backend;
	void *backend_ctx;
	bool blocked;	 /* put() refused; wait for resume() */
	bool rx_starved; /* receive() refused; call room() */
};

extern const struct bus_ops serial_bus_ops;

/* backend and ctx outlive the device. */
void serial_init(struct serial *serial, struct irq_line irq,
		 const struct console_backend *backend, void *ctx);
void serial_destroy(struct serial *serial);

/* For the host's end; valid as long as the device. receive() takes nothing
 * while nobody listens: without receive interrupts or OUT2, or in loopback. */
struct console_port serial_console_port(struct serial *serial);
