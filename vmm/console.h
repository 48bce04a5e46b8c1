/* The host's side of the serial port: a terminal, a pty, a file or nothing.
 *
 * Opened once per process and kept across guest reboots; attached to each
 * VM's serial port in turn. A terminal on stdin is put into raw mode while
 * attached. Output never blocks a vCPU: what the other end does not take now
 * stays in the port's FIFO, and what nobody will ever take is dropped. Input
 * that the guest does not take now is left where it comes from, but for a
 * terminal's, whose escape keys always work.
 *
 * Callbacks run in the event loop's thread and, from within the guest's
 * register accesses, in any vCPU thread; always under the serial port's mutex.
 */
#pragma once

#include "base/error.h"
#include "base/event_loop.h"
#include "devices/serial_16550.h"
#include "vmm/config.h"
#include "vmm/timeline.h"

struct console;

/* A file is not emptied before there is a VM to write to it, and if there never
 * is one, not left behind. The names in config outlive the console. */
struct console *console_open(const struct config_console *config,
			     struct timeline *timeline, struct error *err);
void console_close(struct console *console); /* NULL is fine */

/* What to create the serial port with; its ctx is the console. */
extern const struct serial_backend console_backend;

/* Connects the console to a port that was created with it, and starts
 * reading. quit(ctx) is called, in the event loop, when the user types
 * Ctrl-A x. */
int console_attach(struct console *console, struct serial *serial,
		   struct event_loop *loop, void (*quit)(void *), void *ctx,
		   struct error *err);

/* Gives a slow reader time for what is left in the port's FIFO. Ends early
 * when interrupt_fd becomes readable. vCPUs and event loop have stopped. */
void console_flush(struct console *console, int interrupt_fd);
void console_detach(struct console *console);
