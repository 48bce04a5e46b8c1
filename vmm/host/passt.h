/* passt, a program that gives a guest the network of the user who starts it:
 * it turns the guest's connections into sockets of its own.
 *
 * It is started with one end of a socket pair, on which it is a vhost-user
 * back-end if it can be, as of 2024; else frames go there as
 * devices/net/net_stream.h says. It ends when the other end is closed, however
 * that came about. It outlives a reboot of the guest. Main thread.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "devices/net/net_backend.h"
#include "devices/vhost_user/vhost_user.h"
#include "vmm/config/config.h"

struct passt;

/* The one that would be started, and whether it knows vhost-user; false when
 * there is none. */
bool passt_find(char path[static PATH_MAX], bool *vhost_user);

/* Starts passt, which takes its time; passt_watch() tells what became of it.
 * NULL with err set when the program is not there. */
struct passt *passt_start(const struct config_net *net, struct error *err);

/* As what: a vhost-user back-end, or one of frames. */
bool passt_is_vhost_user(const struct passt *passt);
struct net_backend *passt_backend(struct passt *passt);

/* Waits until it has greeted, which may be the first that is heard of its
 * failure. Once; the connection is the caller's, and ends before passt_stop().
 * NULL with err set. */
struct vhost_user *passt_connect(struct passt *passt, struct error *err);

/* Has passt's messages logged and, if it ends before it was ready, failed()
 * called with its last one. What happens to it later is the device's to find.
 * -1 with err set without memory. */
int passt_watch(struct passt *passt, struct event_loop *loop,
		void (*failed)(void *ctx, const char *why), void *ctx,
		struct error *err);
void passt_unwatch(struct passt *passt);

/* Ends it and waits for that. NULL is fine. */
void passt_stop(struct passt *passt);
