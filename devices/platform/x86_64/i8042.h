/* The one part of a PC keyboard controller that guests still need: the reset
 * pulse (command 0xFE to port 0x64, IBM PC/AT).
 *
 * There is no keyboard and no data port. The status register always says
 * "output buffer full, input buffer empty": Linux's i8042 driver tries to
 * flush 16 bytes, 50 us each, and reports "No controller found"; its reboot
 * code, which waits for an empty input buffer, goes ahead at once. (0 makes
 * the driver wait seconds for answers, and 0xff makes reboot wait 0.1 s.)
 * Stateless; the bus needs no lock.
 */
#pragma once

#include "base/bus.h"

#define I8042_PORT 0x64 /* status on read, command on write */
#define I8042_WINDOW 1

struct i8042 {
	void (*reset)(void *ctx); /* from the vCPU thread that wrote */
	void *ctx;
};

extern const struct bus_ops i8042_bus_ops;
