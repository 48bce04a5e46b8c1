/* Requests to a server, and its answers, which come in the order of the
 * requests.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "devices/vhost_user/vhost_user_conn.h"

int vhost_conn_fail(struct vhost_user *conn, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(conn->why, sizeof(conn->why), fmt, args);
	va_end(args);
	vhost_conn_hang_up(conn);
	return -EIO;
}

static int fail_errno(struct vhost_user *conn, int errnum)
{
	switch (errnum) {
	case ECONNRESET:
	case EPIPE:
		return vhost_conn_fail(conn,
				       "the back-end closed the connection");
	case EPROTO:
		return vhost_conn_fail(conn,
				       "the back-end sent what is no message");
	case EAGAIN:
		return vhost_conn_fail(
			conn, "the back-end does not read what it is sent");
	}
	return vhost_conn_fail(conn, "connection: %s", strerror(errnum));
}

/* --- requests --- */

static bool has_reply(uint32_t request)
{
	return request == VHOST_GET_FEATURES_MSG ||
	       request == VHOST_GET_PROTOCOL_FEATURES_MSG ||
	       request == VHOST_GET_QUEUE_NUM_MSG ||
	       request == VHOST_GET_VRING_BASE_MSG ||
	       request == VHOST_GET_CONFIG_MSG;
}

/* The i-th of the answers that the server owes. */
static struct vhost_owed *owed_at(struct vhost_user *conn, unsigned i)
{
	return &conn->owed[(conn->owed_first + i) % VHOST_OWED_MAX];
}

int vhost_conn_request(struct vhost_user *conn, struct vhost_message *msg,
		       const int *fds, unsigned count)
{
	bool acks = vhost_conn_has(conn, VHOST_PROTOCOL_F_REPLY_ACK);
	struct vhost_owed owed = {
		.request = msg->header.request,
		.size = sizeof(uint64_t), /* also that of a vring state */
		.ack = !has_reply(msg->header.request),
	};
	int ret;

	if (conn->state == VHOST_DOWN)
		return -EIO;
	if (owed.request == VHOST_GET_CONFIG_MSG)
		owed.size = msg->header.size;
	if (conn->owed_count == VHOST_OWED_MAX)
		return vhost_conn_fail(conn,
				       "the back-end owes too many answers");
	msg->header.flags = VHOST_MSG_VERSION;
	if (owed.ack && acks)
		msg->header.flags |= VHOST_MSG_NEED_REPLY;
	ret = vhost_msg_send(conn->fd, msg, fds, count);
	if (ret)
		return fail_errno(conn, -ret);
	if (owed.ack && !acks)
		return 0;
	*owed_at(conn, conn->owed_count++) = owed;
	if (conn->owed_count == 1)
		vhost_conn_set_timer(conn, conn->timeout_ms);
	return 0;
}

int vhost_conn_request_u64(struct vhost_user *conn, uint32_t type,
			   uint64_t value)
{
	struct vhost_message msg = {
		.header = { .request = type, .size = sizeof(value) },
		.payload.u64 = value,
	};

	return vhost_conn_request(conn, &msg, NULL, 0);
}

/* --- answers --- */

bool vhost_conn_is_owed(struct vhost_user *conn, uint32_t type)
{
	for (unsigned i = 0; i < conn->owed_count; i++)
		if (owed_at(conn, i)->request == type)
			return true;
	return false;
}

static int check(struct vhost_user *conn, const struct vhost_owed *owed)
{
	const uint32_t known = VHOST_MSG_VERSION_MASK | VHOST_MSG_REPLY |
			       VHOST_MSG_NEED_REPLY;
	const struct vhost_msg_header *header = &conn->in.msg.header;

	if (header->request != owed->request || (header->flags & ~known) ||
	    !(header->flags & VHOST_MSG_REPLY) ||
	    (header->flags & VHOST_MSG_VERSION_MASK) != VHOST_MSG_VERSION)
		return vhost_conn_fail(conn,
				       "the back-end answered request %u with "
				       "message %u, flags %#x",
				       owed->request, header->request,
				       header->flags);
	/* an empty answer is how a server says that it cannot give it */
	if (owed->request == VHOST_GET_CONFIG_MSG && !header->size)
		return vhost_conn_fail(
			conn,
			"the back-end has no configuration space of %zu bytes",
			owed->size - VHOST_MSG_CONFIG_HEAD);
	if (header->size != owed->size)
		return vhost_conn_fail(conn,
				       "the back-end answered request %u with "
				       "%u bytes, not %u",
				       owed->request, header->size, owed->size);
	if (owed->ack && conn->in.msg.payload.u64)
		return vhost_conn_fail(conn, "the back-end refused request %u",
				       owed->request);
	return 0;
}

int vhost_conn_take_answer(struct vhost_user *conn)
{
	int ret = vhost_msg_receive(conn->fd, &conn->in);
	struct vhost_owed owed;

	if (ret < 0)
		return fail_errno(conn, -ret);
	if (ret == 0)
		return 0;
	if (!conn->owed_count)
		return vhost_conn_fail(
			conn,
			"the back-end sent message %u, which was not asked for",
			conn->in.msg.header.request);
	owed = *owed_at(conn, 0);
	conn->owed_first = (conn->owed_first + 1) % VHOST_OWED_MAX;
	conn->owed_count--;
	if (check(conn, &owed))
		return -EIO;
	vhost_conn_set_timer(conn, conn->owed_count ? conn->timeout_ms : 0);
	if (!owed.ack &&
	    vhost_conn_take_reply(conn, owed.request, &conn->in.msg))
		return -EIO;
	return 1;
}

int vhost_conn_settle(struct vhost_user *conn)
{
	int64_t end = clock_ms() + conn->timeout_ms;

	while (conn->state != VHOST_DOWN && conn->owed_count) {
		struct pollfd in = { .fd = conn->fd, .events = POLLIN };
		int64_t left = end - clock_ms();

		if (left <= 0)
			return vhost_conn_fail(conn,
					       "the back-end does not answer");
		if (poll(&in, 1, (int)left) > 0)
			vhost_conn_take_answer(conn);
	}
	return conn->state == VHOST_READY ? 0 : -EIO;
}
