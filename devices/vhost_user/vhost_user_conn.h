/* What the files of a vhost-user connection share, and nobody else includes:
 * its state and the steps of its life.
 *
 * All functions run under the device's mutex while a device is attached, and
 * else in the thread that sets up the VM. Those that return an int return 0, or
 * -EIO after they have ended the connection; why has the reason then.
 */
#pragma once

#include "base/timer.h"
#include "devices/vhost_user/vhost_user.h"

/* Answers that a server may owe at a time: six for each of 17 rings, and some
 * for other requests. */
#define VHOST_OWED_MAX 128

enum vhost_conn_state {
	VHOST_DOWN,	/* there is no server */
	VHOST_GREETING, /* a server is asked what it offers */
	VHOST_READY,	/* a server takes rings */
};

/* An answer that the server owes. */
struct vhost_owed {
	uint32_t request;
	uint32_t size; /* of the answer's payload, in bytes */
	/* The request has no reply of its own. The answer is a number, which is
	 * 0 if the server did as it was told. */
	bool ack;
};

struct vhost_user {
	const struct vhost_user_kind *kind;
	char *name;
	int (*connect)(void *ctx, struct error *err); /* may be NULL */
	void *connect_ctx;
	unsigned timeout_ms;
	unsigned retry_ms;

	enum vhost_conn_state state;
	int fd;		  /* the socket; -1 while VHOST_DOWN */
	char why[160];	  /* why the connection was lost last */
	char logged[160]; /* the reason that was logged last */
	struct vhost_message_in in;
	struct vhost_owed owed[VHOST_OWED_MAX]; /* a ring */
	unsigned owed_first, owed_count;

	uint64_t protocol;		/* protocol features in use */
	bool has_protocol;		/* the server knows protocol features */
	struct vhost_user_offer offer;	/* of the last server that was READY */
	struct vhost_user_offer coming; /* of the server that is greeted */
	struct vhost_vring_state base;	/* the last GET_VRING_BASE answer */
	bool config_stale; /* it changed again since it was asked for */
	int channel_fd;	   /* the server's own requests; -1: no channel */
	struct vhost_message_in channel_in;

	struct event_loop *loop; /* NULL while no device is attached */
	const struct vhost_user_events *events;
	void *ctx;
	struct event_source source, channel;
	/* Rings when an answer is overdue, or, while VHOST_DOWN, when it is
	 * time to look for another server. */
	struct timer timer;
};

static inline bool vhost_conn_has(const struct vhost_user *conn,
				  unsigned protocol_feature)
{
	return conn->protocol >> protocol_feature & 1;
}

/* --- vhost_user.c: the event loop and the end --- */

/* Ends the connection; why stays as it is. */
void vhost_conn_hang_up(struct vhost_user *conn);

/* Has the event loop watch the sockets that are open; 0 or -errno. */
int vhost_conn_watch(struct vhost_user *conn);
void vhost_conn_unwatch(struct vhost_user *conn);

/* Has the timer ring once after so many milliseconds; 0: not at all. Does
 * nothing while no device is attached. */
void vhost_conn_set_timer(struct vhost_user *conn, unsigned ms);

/* --- vhost_user_requests.c --- */

/* Ends the connection for a reason that is given as for printf(). -EIO. */
int vhost_conn_fail(struct vhost_user *conn, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Sends a request of which header.request and header.size are set, and has the
 * server acknowledge it if it can. */
int vhost_conn_request(struct vhost_user *conn, struct vhost_message *msg,
		       const int *fds, unsigned count);
int vhost_conn_request_u64(struct vhost_user *conn, uint32_t type,
			   uint64_t value);

/* Whether the server owes the answer to a request of this type. */
bool vhost_conn_is_owed(struct vhost_user *conn, uint32_t type);

/* Takes the next answer if it has come: 1, or 0 when it has not. Its form is
 * checked: it answers the request whose turn it is, and has the right size. An
 * answer that says more goes to vhost_conn_take_reply(). */
int vhost_conn_take_answer(struct vhost_user *conn);

/* Waits until the server owes no answer, for timeout_ms at most. */
int vhost_conn_settle(struct vhost_user *conn);

/* --- vhost_user_greeting.c --- */

/* Begins to ask a server that has just been connected to what it offers. */
int vhost_conn_greet(struct vhost_user *conn);

/* Takes the answer to a request that has one of its own. */
int vhost_conn_take_reply(struct vhost_user *conn, uint32_t request,
			  const struct vhost_message *msg);

/* --- vhost_user_config.c: configuration space --- */

/* Asks for so many bytes of it. */
int vhost_config_request(struct vhost_user *conn, size_t size);

/* Puts the answer into offer. */
int vhost_config_take(struct vhost_user *conn, struct vhost_user_offer *offer,
		      const struct vhost_message *msg);

/* Takes the answer of a server that was READY when it was asked. */
int vhost_config_take_change(struct vhost_user *conn,
			     const struct vhost_message *msg);

/* Opens the channel by which the server tells of changes. The host may have
 * none to give: then changes stay unknown, which is no error. */
int vhost_channel_open(struct vhost_user *conn);
void vhost_channel_close(struct vhost_user *conn);

/* The ready() of conn->channel. */
void vhost_channel_ready(struct event_source *source, uint32_t events);
