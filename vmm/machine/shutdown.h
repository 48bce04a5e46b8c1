/* The end of a VM that a user asks for by a signal.
 *
 * SIGTERM presses the power button and gives the guest time to power off. A
 * second SIGTERM, any other signal, or the end of that time ends the VM at
 * once. The first SIGTERM does so, too, if the machine has no power button.
 * Main event loop; create and destroy belong to the set-up thread.
 */
#pragma once

#include <stdbool.h>

#include "base/timer.h"
#include "vmm/machine/platform.h"

struct shutdown {
	struct timer timer;
	struct platform *platform;
	bool asked; /* SIGTERM has pressed the power button */
};

/* -1 with err set. */
int shutdown_create(struct shutdown *shutdown, struct event_loop *loop,
		    struct platform *platform, struct error *err);
void shutdown_destroy(struct shutdown *shutdown);

void shutdown_signal(struct shutdown *shutdown, int number);
