/* The front-end's side of a vhost-user connection: a server, which is another
 * process, serves the virtqueues of a device of ours (QEMU's
 * docs/interop/vhost-user.rst, which calls the server the back-end).
 *
 * A connection is made before there is a VM, and it outlives the VM. A device
 * attaches to it for one boot of the guest. While a device is attached, the
 * connection lives in the event loop, and all functions are called under the
 * device's mutex; before that, in the thread that sets up the VM. Answers are
 * taken when they come. A server that owes an answer for too long is cut off.
 * When the connection is lost and the options have a connect function, another
 * server is looked for every second.
 *
 * Two functions wait for the server, for VHOST_USER_TIMEOUT_MS at most:
 * vhost_user_create() and vhost_user_stop_queue().
 *
 * The server sees guest memory and is trusted with it, but with nothing else:
 * what it says is checked, and a mistake ends the connection.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "devices/vhost_user/vhost_user_msg.h"
#include "devices/virtio/virtqueue.h"

#define VHOST_USER_TIMEOUT_MS 5000
#define VHOST_USER_RETRY_MS 1000

struct vhost_user;

/* What a class of device demands of its servers. */
struct vhost_user_kind {
	/* Returns how many bytes of configuration space a server has that
	 * offers these virtio features. NULL: all of it is the device's own. */
	size_t (*config_size)(uint64_t features);
	unsigned queues; /* the fewest that a server must serve */
	/* Whether the server gets the eventfd for calls before the ring's
	 * addresses. passt of 2025 uses a ring as soon as it has the addresses,
	 * and dies if it has no call by then. The block devices of QEMU need
	 * the other order: they hang after a restart of their rings. */
	bool call_first;
};

struct vhost_user_options {
	const struct vhost_user_kind *kind; /* constant */
	const char *name; /* of the connection, in the log; copied */
	int fd;		  /* a connected stream socket; taken over */

	/* Returns a connected stream socket to another server after the
	 * connection was lost, or -1 with err set while there is none. The
	 * event loop calls it under the device's mutex, so it must not wait.
	 * NULL: no server can take the place of one that was lost. ctx outlives
	 * the connection. */
	int (*connect)(void *ctx, struct error *err);
	void *ctx;

	unsigned timeout_ms; /* for an answer; 0: VHOST_USER_TIMEOUT_MS */
	unsigned retry_ms;   /* between attempts; 0: VHOST_USER_RETRY_MS */
};

/* What the server offers, or offered before it was lost. */
struct vhost_user_offer {
	uint64_t features; /* virtio features */
	unsigned queues;   /* UINT32_MAX: it does not say */
	size_t config_size;
	uint8_t config[VHOST_CONFIG_MAX];
};

/* Called from the event loop, or while vhost_user_stop_queue() waits. */
struct vhost_user_events {
	void (*lost)(void *ctx);  /* the server serves nothing any more */
	void (*ready)(void *ctx); /* another server has been greeted */
	void (*config_changed)(void *ctx); /* of the offer */
};

/* Greets the server behind options->fd. NULL with the reason in err, and
 * options->fd closed. */
struct vhost_user *vhost_user_create(const struct vhost_user_options *options,
				     struct error *err);
void vhost_user_destroy(struct vhost_user *conn); /* NULL is fine */

/* Whether there is a server that rings can be handed to. */
bool vhost_user_is_ready(const struct vhost_user *conn);
const struct vhost_user_offer *vhost_user_offer(const struct vhost_user *conn);
const char *vhost_user_name(const struct vhost_user *conn);

/* How long the server may take for an answer, in milliseconds. */
unsigned vhost_user_timeout(const struct vhost_user *conn);

/* Why the connection was lost, as text for a message. */
const char *vhost_user_reason(const struct vhost_user *conn);

/* Attaches a device: loop serves the connection, and holds lock, the device's
 * mutex, while it does. 0, or -errno with nothing attached. The connection is
 * detached once the loop has stopped, and stays. */
int vhost_user_attach(struct vhost_user *conn, struct event_loop *loop,
		      pthread_mutex_t *lock,
		      const struct vhost_user_events *events, void *ctx);
void vhost_user_detach(struct vhost_user *conn);

/* Ends the connection. While a device is attached, another server is looked
 * for if there is a connect function. lost() is not called. */
void vhost_user_drop(struct vhost_user *conn, const char *why);

/* The functions below return 0, or -EIO when the connection is lost, be it by
 * this call. They do not call lost(). A device is attached. */

/* Tells the server what it must know before it gets rings: the features that
 * the driver accepted, and the shared regions of guest memory. */
int vhost_user_set_features(struct vhost_user *conn, uint64_t features);
int vhost_user_set_memory(struct vhost_user *conn, const struct guest_mem *mem);

/* Hands a ring to the server, which serves it from ring->next_avail on. kick
 * and call are eventfds, which stay the caller's. */
int vhost_user_start_queue(struct vhost_user *conn, unsigned index,
			   const struct virtqueue_state *ring, int kick,
			   int call);

/* Takes a ring back and waits until the server confirms it. *base is the
 * available entry that the server would have taken next. */
int vhost_user_stop_queue(struct vhost_user *conn, unsigned index,
			  uint16_t *base);

/* Passes on what the driver wrote to configuration space. A write is dropped
 * while there is no server, or while the server is slow to acknowledge the
 * writes before. */
int vhost_user_set_config(struct vhost_user *conn, size_t offset,
			  const void *data, size_t size);
