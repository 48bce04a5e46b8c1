/* A PL061 GPIO of 8 lines (ARM DDI 0190B, chapter 3), for a power button.
 *
 * The lines are inputs of the guest. One that the guest makes an output drives
 * nothing. Each register is one byte at an offset that is a multiple of 4,
 * whatever the size of the access. The other bytes read as 0, and writes to
 * them are ignored.
 *
 * The device raises its interrupt when the masked status of a line becomes set.
 * It does so again when the guest clears a status whose level still asks for
 * it.
 *
 * A button stays down until the guest reads its line. Guests wait before they
 * read, to let a button settle: so no timer has to guess when they have seen
 * it.
 *
 * The bus takes pl061->lock around register accesses.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "base/bus.h"
#include "base/irq_line.h"

#define PL061_WINDOW 4096
#define PL061_LINES 8

/* State saved in a snapshot. Bit n is line n. Names are the registers'. */
struct pl061_state {
	uint8_t data; /* levels that the guest gives its outputs */
	uint8_t dir;  /* 1: output */
	uint8_t is;   /* 1: by level, 0: by edge */
	uint8_t ibe;  /* both edges */
	uint8_t iev;  /* 1: high, or rising */
	uint8_t ie;
	uint8_t ris;
	uint8_t afsel;
	uint8_t input;	 /* levels that come from outside */
	uint8_t pressed; /* buttons that come up when read */
	uint8_t raised;	 /* bits of GPIOMIS that have raised the interrupt */
};

struct pl061 {
	pthread_mutex_t lock;
	struct pl061_state state;
	struct irq_line irq;
};

extern const struct bus_ops pl061_bus_ops;

void pl061_init(struct pl061 *pl061, struct irq_line irq);
void pl061_destroy(struct pl061 *pl061);

/* Sets the level, 0 or 1, of line 0 to 7. Takes the lock; any thread. */
void pl061_set_input(struct pl061 *pl061, unsigned line, int level);

/* Presses the button on line 0 to 7 and lets it go when the guest has read it.
 * Takes the lock; any thread. */
void pl061_press(struct pl061 *pl061, unsigned line);
