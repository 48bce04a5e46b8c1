/* passt, a program that gives a guest the network of the user who starts it:
 * passt turns the guest's connections into sockets of its own.
 *
 * passt gets one end of a socket pair. A passt of 2024 or later is a vhost-user
 * server there; an older one exchanges frames as net_stream.h describes. passt
 * ends when onggi's end is closed, for whatever reason. It goes on across a
 * reboot of the guest. Main thread.
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

/* Finds the passt that passt_start() would start, and whether it knows
 * vhost-user. False when there is none. */
bool passt_find(char path[static PATH_MAX], bool *vhost_user);

/* Starts passt, but does not wait until it is ready: passt_watch() reports it
 * if passt fails before. NULL with err set. */
struct passt *passt_start(const struct config_net *net, struct error *err);

/* The back end that exchanges frames with passt. NULL when passt is a
 * vhost-user server, which the caller then reaches by passt_connect(). */
struct net_backend *passt_backend(struct passt *passt);

/* Waits until passt has answered. May be called once. The caller owns the
 * connection and ends it before passt_stop(). NULL with err set, which has the
 * last message of passt if passt has failed. */
struct vhost_user *passt_connect(struct passt *passt, struct error *err);

/* Logs passt's messages. Calls failed() with the last one when passt ends
 * before it is ready; the device notices a later end by itself. 0, or -1 with
 * err set when the host has no more memory. */
int passt_watch(struct passt *passt, struct event_loop *loop,
		void (*failed)(void *ctx, const char *why), void *ctx,
		struct error *err);
void passt_unwatch(struct passt *passt);

/* Ends passt and waits for its end. NULL is fine. */
void passt_stop(struct passt *passt);
