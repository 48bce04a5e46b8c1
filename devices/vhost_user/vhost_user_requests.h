/* Requests to a vhost-user back-end and its answers, which come in the same
 * order. Answers are checked here for being what was asked for; what they say
 * is the caller's affair. Nothing here waits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "devices/vhost_user/vhost_user_msg.h"

/* Answers that may be owed at a time: six for each of 17 rings, and some. */
#define VHOST_OWED_MAX 128

struct vhost_owed {
	uint32_t request;
	uint32_t size; /* of the answer */
	bool ack;      /* a number that is 0, for a request without a reply */
};

struct vhost_requests {
	int fd;
	bool acks; /* VHOST_PROTOCOL_F_REPLY_ACK is in use */
	struct vhost_message_in in;
	struct vhost_owed owed[VHOST_OWED_MAX];
	unsigned first, count;
	char why[160]; /* nothing works any more */
};

/* Sends a request of which header.request and header.size are set; where the
 * back-end can tell whether it did as told, it has to. 0, or -EIO. */
int vhost_requests_send(struct vhost_requests *r, struct vhost_message *msg,
			const int *fds, unsigned count);

/* Takes the next answer: 1 when r->in.msg is what *owed is about, which has no
 * more to say if it is an ack; 0 when there is none now; -EIO. */
int vhost_requests_receive(struct vhost_requests *r, struct vhost_owed *owed);

/* Whether such a request is not answered yet. */
bool vhost_requests_has(const struct vhost_requests *r, uint32_t request);

/* Sets why. Always returns -EIO. */
int vhost_requests_fail(struct vhost_requests *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
