/* One queue of a device that a vhost-user server serves: its eventfds, and how
 * it passes to the server and back. Only vhost_user_device.c includes this.
 * Under the device's lock.
 */
#pragma once

#include "devices/vhost_user/vhost_user_device.h"

void vhost_queue_init(struct vhost_queue *q, struct vhost_user_device *vd);

/* Opens the eventfds, if they are not open yet, and has the event loop watch
 * them. The queue is ours. 0 or -errno; either way vhost_queue_close() follows.
 */
int vhost_queue_open(struct vhost_queue *q);
void vhost_queue_close(struct vhost_queue *q);

/* Does to the queue what a kick of the driver's does. */
void vhost_queue_wake(struct vhost_queue *q);

/* Replaces the eventfds: a server that is gone may have kept the old ones, and
 * would take the kicks that are for us or for the next server. If others cannot
 * be had, the old ones stay. 0 or -errno. */
int vhost_queue_renew(struct vhost_queue *q);

/* Has the event loop turn the server's calls into interrupts, or leave them
 * waiting. 0 or -errno. */
int vhost_queue_watch_calls(struct vhost_queue *q);
void vhost_queue_unwatch_calls(struct vhost_queue *q);

/* Gives the queue to the server. 0, or -EIO when the server is lost by that. */
int vhost_queue_hand_over(struct vhost_queue *q);

/* Has the server give the queue back and end what it has taken; without wait,
 * it has no more time for that. 0 with the queue's state brought up to date;
 * -EIO when the server is lost by that; -ETIMEDOUT when it keeps requests for
 * too long. */
int vhost_queue_stop(struct vhost_queue *q, bool wait);

/* Takes the queue back from a server that is gone, and ends what it had under
 * way. 0 or -errno when that is not known. */
int vhost_queue_take_back(struct vhost_queue *q);
