/* The host's side of a serial port or a virtio console: a terminal, a pty, a
 * file or nothing.
 *
 * Opened once per process and kept across guest reboots; attached to the
 * port of each VM in turn. A terminal on stdin is put into raw mode while
 * attached. Output never blocks a vCPU: what the other end does not take now
 * stays with the port, and what nobody will ever take is dropped. Input that
 * the guest does not take now is left where it comes from, but for a
 * terminal's, whose escape keys always work. One console of a process at most
 * is on stdin and stdout.
 *
 * Callbacks run in the event loop's thread and, from within the guest's
 * register accesses, in any vCPU thread; always under the port's mutex.
 */
#pragma once

#include "base/error.h"
#include "base/event_loop.h"
#include "devices/console/console_port.h"
#include "vmm/config/config.h"
#include "vmm/host/timeline.h"

struct console;

/* A file is not emptied before there is a VM to write to it, and if there never
 * is one, not left behind. The names in config, and name, which messages begin
 * with, outlive the console. */
struct console *console_open(const char *name,
			     const struct config_console *config,
			     struct timeline *timeline, struct error *err);
void console_close(struct console *console); /* NULL is fine */

/* What to create the port with; its ctx is the console. */
extern const struct console_backend console_backend;

/* Connects the console to a port that was created with it, and starts
 * reading. quit(ctx) is called, in the event loop, when the user types
 * Ctrl-A x. Blocks SIGWINCH for this thread and those to come, if this is a
 * terminal and the port wants to know its size. */
int console_attach(struct console *console, const struct console_port *port,
		   struct event_loop *loop, void (*quit)(void *), void *ctx,
		   struct error *err);

/* Gives a slow reader ten seconds for what is left at the port. Ends early when
 * interrupt_fd becomes readable. vCPUs and event loop have stopped. NULL is
 * fine, here and below. */
void console_flush(struct console *console, int interrupt_fd);
void console_detach(struct console *console);
