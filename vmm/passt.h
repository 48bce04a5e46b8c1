/* passt, a program that gives a guest the network of the user who starts it:
 * it turns the guest's connections into sockets of its own.
 *
 * It is started with one end of a socket pair, on which frames go as
 * devices/net_stream.h says, and ends when the other is closed, however that
 * came about. It outlives a reboot of the guest. Main thread.
 */
#pragma once

#include "base/error.h"
#include "base/event_loop.h"
#include "devices/net_backend.h"
#include "vmm/config.h"

struct passt;

/* Starts passt, which takes its time; passt_watch() tells what became of it.
 * NULL with err set when the program is not there. */
struct passt *passt_start(const struct config_net *net, struct error *err);

struct net_backend *passt_backend(struct passt *passt);

/* Has passt's messages logged and, if it ends before it was ready, failed()
 * called with its last one. What happens to it later is the device's to find.
 * -1 with err set without memory. */
int passt_watch(struct passt *passt, struct event_loop *loop,
		void (*failed)(void *ctx, const char *why), void *ctx,
		struct error *err);
void passt_unwatch(struct passt *passt);

/* Ends it and waits for that. NULL is fine. */
void passt_stop(struct passt *passt);
