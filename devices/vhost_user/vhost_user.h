/* The front-end's side of a vhost-user connection: another process, the
 * back-end, serves the virtqueues of a device of ours (QEMU's
 * docs/interop/vhost-user.rst).
 *
 * A connection is made and greeted before there is a VM, and outlives it; a
 * device attaches to it for as long as one boot of the guest takes. Then it
 * lives in the event loop and under the device's mutex: replies are taken when
 * they come, a back-end that owes one for too long is cut off, and where a path
 * is known, one that was lost is looked for once per second. Only what must be
 * known at once is waited for, which the callers of vhost_user_create() and
 * vhost_user_stop_queue() do, for VHOST_USER_TIMEOUT_MS at most.
 *
 * The back-end sees guest memory and is trusted with that, but with nothing
 * else: what it says is checked, and a mistake ends the connection.
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

#define VHOST_USER_TIMEOUT_MS 5000
#define VHOST_USER_RETRY_MS 1000

struct vhost_user;

/* What a kind of device wants of its back-ends. */
struct vhost_user_kind {
	/* Bytes of configuration space that it has with these virtio features;
	 * NULL where the front-end has its own. */
	size_t (*config_size)(uint64_t features);
	unsigned queues; /* at least */
	/* A ring's call goes before its addresses. passt of 2025 uses a ring as
	 * soon as it has addresses, and dies where it cannot tell of it; QEMU's
	 * disks, the other way, hang once they have been started anew. */
	bool call_first;
};

struct vhost_user_options {
	const struct vhost_user_kind *kind; /* constant */
	const char *name; /* of the connection, in the log; copied */
	int fd;		  /* a connected stream socket; taken over */

	/* Returns another connected socket after the connection was lost, or
	 * -1 with err set while there is none. Called from the event loop under
	 * the device's mutex, so it must not wait. NULL: nobody can take the
	 * place of a lost server. ctx outlives the connection. */
	int (*connect)(void *ctx, struct error *err);
	void *ctx;
	unsigned timeout_ms; /* for an answer; 0: VHOST_USER_TIMEOUT_MS */
	unsigned retry_ms;   /* between attempts; 0: VHOST_USER_RETRY_MS */
};

/* What the back-end offers, or the last one did. */
struct vhost_user_offer {
	uint64_t features;
	unsigned queues; /* UINT32_MAX: it does not say */
	size_t config_size;
	uint8_t config[VHOST_CONFIG_MAX];
};

/* From the event loop, or while vhost_user_stop_queue() waits. */
struct vhost_user_events {
	void (*lost)(void *ctx);  /* it serves nothing any more */
	void (*ready)(void *ctx); /* there is one again */
	void (*config_changed)(void *ctx);
};

/* Greets the server behind options->fd. NULL with the reason in err, and
 * options->fd closed. */
struct vhost_user *vhost_user_create(const struct vhost_user_options *options,
				     struct error *err);
void vhost_user_destroy(struct vhost_user *conn); /* NULL is fine */

/* Whether the connection stands and rings can be handed over. */
bool vhost_user_is_ready(const struct vhost_user *conn);
const struct vhost_user_offer *vhost_user_offer(const struct vhost_user *conn);
const char *vhost_user_name(const struct vhost_user *conn);

/* How long an answer may take, in milliseconds. */
unsigned vhost_user_timeout(const struct vhost_user *conn);

/* Why it was lost, for a message. */
const char *vhost_user_reason(const struct vhost_user *conn);

/* Has loop serve the connection, under lock. 0 or -errno. detach is for when
 * the loop has stopped; the connection stays. */
int vhost_user_attach(struct vhost_user *conn, struct event_loop *loop,
		      pthread_mutex_t *lock,
		      const struct vhost_user_events *events, void *ctx);
void vhost_user_detach(struct vhost_user *conn);

/* Ends the connection; another one is looked for while it is attached and has a
 * path. Nobody is called. */
void vhost_user_drop(struct vhost_user *conn, const char *why);

/* What a back-end is told before it gets rings. They, and all below, return 0,
 * or -EIO when the connection is lost by that; lost() is not called then. */
int vhost_user_set_features(struct vhost_user *conn, uint64_t features);
int vhost_user_set_memory(struct vhost_user *conn, const struct guest_mem *mem);

struct vhost_user_ring {
	uint16_t size;
	uint16_t base;		    /* the available entry to begin with */
	uint64_t desc, avail, used; /* guest physical addresses */
	int kick, call;		    /* eventfds */
};

/* From now on the ring is the back-end's. */
int vhost_user_start_queue(struct vhost_user *conn, unsigned index,
			   const struct vhost_user_ring *ring);

/* Takes it back, which the back-end has to answer: *base is the available entry
 * it would have gone on with. */
int vhost_user_stop_queue(struct vhost_user *conn, unsigned index,
			  uint16_t *base);

/* The driver wrote to configuration space. What a back-end is too slow for is
 * left out. */
int vhost_user_set_config(struct vhost_user *conn, size_t offset,
			  const void *data, size_t size);
