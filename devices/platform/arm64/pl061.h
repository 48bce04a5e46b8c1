/* A PL061 GPIO of 8 lines (ARM DDI 0190B, chapter 3), for a power button.
 *
 * Lines are inputs of the guest, that it makes outputs drive nothing. A
 * register is a byte at an offset that 4 divides, whatever the size of the
 * access: its other bytes, and other offsets, read 0 and take no writes.
 *
 * The interrupt is an edge, one for each line whose masked status becomes set,
 * or is cleared by a guest while its level still asks for it.
 *
 * A button stays down until the guest has read its line, and comes up by that:
 * no timer has to guess when the guest, which debounces by waiting and reading,
 * has seen it.
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

/* All that a snapshot keeps; bit n is line n. Names are the registers'. */
struct pl061_state {
	uint8_t data; /* what the guest has outputs be */
	uint8_t dir;  /* 1: output */
	uint8_t is;   /* 1: by level, 0: by edge */
	uint8_t ibe;  /* both edges */
	uint8_t iev;  /* 1: high, or rising */
	uint8_t ie;
	uint8_t ris;
	uint8_t afsel;
	uint8_t input;	 /* levels that come from outside */
	uint8_t pressed; /* buttons that come up when read */
	uint8_t raised;	 /* GPIOMIS for which there was an edge */
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
