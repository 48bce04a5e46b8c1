/* The consoles of a VM: the serial port's, and the virtio console's if there is
 * one. Main thread.
 */
#pragma once

#include "vmm/host/console.h"
#include "vmm/host/own_files.h"
#include "vmm/machine/devices.h"
#include "vmm/machine/platform.h"

/* As console_open(), but refuses a file that the VM has open already. Adds a
 * regular file to the VM's own; pipes and terminals may be shared. */
struct console *console_open_once(const char *name,
				  const struct config_console *config,
				  struct own_files *files,
				  struct timeline *timeline, struct error *err);

/* Both consoles, while they are attached to the ports of one boot. */
struct consoles {
	struct console *serial;
	struct console *hvc; /* NULL: none */
};

/* Connects the host's ends to the guest's. Ctrl-A x in a terminal requests the
 * stop. -1 with err set; consoles_detach() takes what a failure leaves. */
int consoles_attach(struct consoles *consoles, struct console *serial,
		    struct platform *platform, struct machine_devices *devices,
		    struct event_loop *loop, struct error *err);
void consoles_detach(struct consoles *consoles);

/* Gives slow readers some time for what the guest has printed. Ends early when
 * interrupt_fd becomes readable. vCPUs and event loops have stopped. */
void consoles_flush(struct consoles *consoles, int interrupt_fd);
