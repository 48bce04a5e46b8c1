/* Power registers: one 8-byte window of byte registers, for PIO or MMIO.
 *
 *	0  sleep control  ACPI 6.5, 4.8.3.7: writing SLP_EN (bit 5) with
 *	                  SLP_TYP (bits 4:2) of 5 turns the VM off
 *	1  sleep status   WAK_STS (bit 7), write 1 to clear
 *	2  reset          writing 1 resets the VM
 *	3  event select   bit 0: power button pressed; reading clears
 *	4  boot mark      the first write says that user space is up
 *	5  exit code      remembered, and handed over at power-off
 *
 * Registers 0 to 2 are what the FADT of a hardware-reduced platform points
 * at, 3 is read by AML. Wider accesses are taken apart into bytes. The
 * callbacks come from the vCPU thread that wrote, with power->lock held;
 * they must not call back into this module.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/bus.h"
#include "devices/irq_line.h"

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
	void (*boot_mark)(void *ctx, uint8_t value);
};

/* All that a snapshot keeps. */
struct power_state {
	uint8_t sleep_status;
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

/* Presses the guest's power button. Takes the lock; any thread. */
void power_press_button(struct power *power);
