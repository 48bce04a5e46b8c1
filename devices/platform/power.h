/* Power registers: one 8-byte window of byte registers, for PIO or MMIO. This
 * is their reference. boot/ (ACPI tables) and guest-images/ (init) cannot
 * include it and repeat what they use.
 *
 *	0  sleep control  ACPI 6.5, 4.8.3.7. Writing SLP_EN (bit 5) with
 *	                  SLP_TYP (bits 4:2) of 5, which is 0x34, turns the VM
 *	                  off; any other value does nothing. Reads 0.
 *	1  sleep status   ACPI 6.5, 4.8.3.7. WAK_STS (bit 7), write 1 to clear.
 *	                  Nothing sleeps, so that it always reads 0.
 *	2  reset          Writing 1 resets the VM; any other value does nothing.
 *	                  Reads 0.
 *	3  events         What happened since the last read, which clears it:
 *	                  bit 0, the power button was pressed. The interrupt line
 *	                  is raised when a bit is set. Writes do nothing.
 *	4  boot mark      The first write, of any value, says that user space is
 *	                  up; later ones do nothing. Reads 0.
 *	5  exit code      Remembered, and handed over at power-off as what onggi
 *	                  exits with; 0 until written. Reads what was written.
 *	6, 7              Writes do nothing. Read 0.
 *
 * Registers 0 to 2 are what the FADT of a hardware-reduced platform points
 * at, 3 is read by the generic event device's AML, 4 and 5 are written by
 * guest init. Wider accesses are taken apart into bytes, lowest offset first.
 * The callbacks come from the vCPU thread that wrote, with power->lock held;
 * they must not call back into this module.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bus.h"
#include "base/irq_line.h"

#define POWER_WINDOW 8

#define POWER_SLEEP_CONTROL 0
#define POWER_SLEEP_STATUS 1
#define POWER_RESET 2
#define POWER_EVENTS 3
#define POWER_BOOT_MARK 4
#define POWER_EXIT_CODE 5

#define POWER_SLP_TYP_OFF 5 /* what \_S5 in the DSDT must say */
#define POWER_RESET_VALUE 1
#define POWER_EVENT_BUTTON 0x01

struct power_ops {
	void (*power_off)(void *ctx, uint8_t exit_code);
	void (*reset)(void *ctx);
	void (*boot_mark)(void *ctx);
};

/* All that a snapshot keeps. */
struct power_state {
	uint8_t events;
	uint8_t boot_marked;
	uint8_t exit_code;
};

struct power {
	pthread_mutex_t lock;
	struct power_state state;
	struct irq_line irq;
	const struct power_ops *ops;
	void *ctx;
};

extern const struct bus_ops power_bus_ops;

void power_init(struct power *power, struct irq_line irq,
		const struct power_ops *ops, void *ctx);
void power_destroy(struct power *power);

/* What the exit code register holds, for a guest that powers off another way.
 * Takes the lock; any thread. */
uint8_t power_exit_code(struct power *power);

/* Presses the guest's power button. Takes the lock; any thread. */
void power_press_button(struct power *power);
