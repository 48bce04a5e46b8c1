/* The power registers of abi/power.h, for PIO or MMIO.
 *
 * The vCPU thread that wrote a register calls the callbacks, with power->lock
 * held. They must not call back into this module.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "abi/power.h"
#include "base/bus.h"
#include "base/irq_line.h"

struct power_ops {
	void (*power_off)(void *ctx, uint8_t exit_code);
	void (*reset)(void *ctx);
	void (*boot_mark)(void *ctx);
};

/* State saved in a snapshot. */
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

/* What the exit code register holds, for a guest that powers off in another
 * way. Takes the lock; any thread. */
uint8_t power_exit_code(struct power *power);

/* Presses the guest's power button. Takes the lock; any thread. */
void power_press_button(struct power *power);
