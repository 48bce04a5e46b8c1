/* Requests to a vhost-user server, and its answers, which come in the order of
 * the requests.
 *
 * An answer is checked for its form: that it answers the request whose turn it
 * is, and has the right size. The caller checks what it says. No function
 * waits. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "devices/vhost_user/vhost_user_msg.h"

/* Answers that a server may owe at a time: six for each of 17 rings, and some
 * for other requests. */
#define VHOST_OWED_MAX 128

/* An answer that the server owes. */
struct vhost_owed {
	uint32_t request;
	uint32_t size; /* of the answer's payload, in bytes */
	/* The request has no reply of its own. The answer is a number that is 0
	 * if the server did as it was told. */
	bool ack;
};

struct vhost_requests {
	int fd;
	bool acks; /* VHOST_PROTOCOL_F_REPLY_ACK is in use */
	struct vhost_message_in in;
	struct vhost_owed owed[VHOST_OWED_MAX];
	unsigned first, count; /* of owed, which is a ring */
	char why[160];	       /* why no more requests can be made */
};

/* Sends a request of which header.request and header.size are set, and has the
 * server acknowledge it if it can. 0, or -EIO with why set. */
int vhost_requests_send(struct vhost_requests *r, struct vhost_message *msg,
			const int *fds, unsigned count);

/* Takes the next answer. 1: *owed tells which it is, and r->in.msg is the
 * answer; an ack was good. 0: none is there now. -EIO with why set. */
int vhost_requests_receive(struct vhost_requests *r, struct vhost_owed *owed);

/* Whether the server owes the answer to a request of this type. */
bool vhost_requests_has(const struct vhost_requests *r, uint32_t request);

/* Sets why. Always returns -EIO. */
int vhost_requests_fail(struct vhost_requests *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
