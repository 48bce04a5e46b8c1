/* The host's side of a serial port or a virtio console: a terminal, a pty, a
 * file or nothing.
 *
 * A console is opened once per process, and attached to the port of each VM
 * from one reboot to the next. A terminal on stdin is in raw mode while its
 * console is attached. At most one console of a process is on stdin and stdout.
 *
 * Output never blocks a vCPU. What the other end does not take now stays with
 * the port; what nobody will ever take is dropped. Input that the guest does
 * not take now is not read. A terminal is an exception: it is always read, so
 * that its escape keys always work.
 *
 * The main thread calls the functions. Callbacks run in the event loop's thread
 * and, while the guest accesses registers, in any vCPU thread, always with the
 * port's mutex held.
 */
#pragma once

#include "base/error.h"
#include "base/event_loop.h"
#include "devices/console/console_port.h"
#include "vmm/config/config.h"
#include "vmm/host/timeline.h"

struct console;

/* Opens what config asks for. A file keeps its content until the console is
 * attached; a file that this has created is removed again if the console never
 * is. Messages begin with name. name and the strings of config outlive the
 * console. NULL with err set. */
struct console *console_open(const char *name,
			     const struct config_console *config,
			     struct timeline *timeline, struct error *err);
void console_close(struct console *console); /* NULL is fine */

/* A port is created with this; the ctx of its functions is the console. */
extern const struct console_backend console_backend;

/* Connects the console to a port that was created with it, and starts to read.
 * The event loop calls quit(ctx) when the user types Ctrl-A x. Blocks SIGWINCH
 * for this thread and for those that it starts later, if the console is on a
 * terminal and the port wants to know its size. */
int console_attach(struct console *console, const struct console_port *port,
		   struct event_loop *loop, void (*quit)(void *), void *ctx,
		   struct error *err);

/* Gives a slow reader at most ten seconds to take what is left at the port.
 * Ends early when interrupt_fd becomes readable. vCPUs and event loop have
 * stopped. console may be NULL, here and below. */
void console_flush(struct console *console, int interrupt_fd);
void console_detach(struct console *console);
