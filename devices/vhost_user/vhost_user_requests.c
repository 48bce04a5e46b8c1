#include "devices/vhost_user/vhost_user_requests.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int vhost_requests_fail(struct vhost_requests *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, args);
	va_end(args);
	return -EIO;
}

static int fail_errno(struct vhost_requests *r, int errnum)
{
	switch (errnum) {
	case ECONNRESET:
	case EPIPE:
		return vhost_requests_fail(
			r, "the back-end closed the connection");
	case EPROTO:
		return vhost_requests_fail(
			r, "the back-end sent what is no message");
	case EAGAIN:
		return vhost_requests_fail(
			r, "the back-end does not read what it is sent");
	}
	return vhost_requests_fail(r, "connection: %s", strerror(errnum));
}

static bool has_reply(uint32_t request)
{
	return request == VHOST_GET_FEATURES_MSG ||
	       request == VHOST_GET_PROTOCOL_FEATURES_MSG ||
	       request == VHOST_GET_QUEUE_NUM_MSG ||
	       request == VHOST_GET_VRING_BASE_MSG ||
	       request == VHOST_GET_CONFIG_MSG;
}

int vhost_requests_send(struct vhost_requests *r, struct vhost_message *msg,
			const int *fds, unsigned count)
{
	struct vhost_owed owed = {
		.request = msg->header.request,
		.size = sizeof(uint64_t), /* also that of a vring state */
		.ack = !has_reply(msg->header.request),
	};
	int ret;

	if (owed.request == VHOST_GET_CONFIG_MSG)
		owed.size = msg->header.size;
	if (r->count == VHOST_OWED_MAX)
		return vhost_requests_fail(
			r, "the back-end owes too many answers");
	msg->header.flags = VHOST_MSG_VERSION;
	if (owed.ack && r->acks)
		msg->header.flags |= VHOST_MSG_NEED_REPLY;
	ret = vhost_msg_send(r->fd, msg, fds, count);
	if (ret)
		return fail_errno(r, -ret);
	if (!owed.ack || r->acks)
		r->owed[(r->first + r->count++) % VHOST_OWED_MAX] = owed;
	return 0;
}

static int check(struct vhost_requests *r, const struct vhost_owed *owed)
{
	const uint32_t known = VHOST_MSG_VERSION_MASK | VHOST_MSG_REPLY |
			       VHOST_MSG_NEED_REPLY;
	const struct vhost_msg_header *header = &r->in.msg.header;

	if (header->request != owed->request || (header->flags & ~known) ||
	    !(header->flags & VHOST_MSG_REPLY) ||
	    (header->flags & VHOST_MSG_VERSION_MASK) != VHOST_MSG_VERSION)
		return vhost_requests_fail(
			r,
			"the back-end answered request %u with message %u, "
			"flags %#x",
			owed->request, header->request, header->flags);
	/* an empty answer is how a server says that it cannot give it */
	if (owed->request == VHOST_GET_CONFIG_MSG && !header->size)
		return vhost_requests_fail(
			r,
			"the back-end has no configuration space of %zu bytes",
			owed->size - VHOST_MSG_CONFIG_HEAD);
	if (header->size != owed->size)
		return vhost_requests_fail(
			r,
			"the back-end answered request %u with %u bytes, not "
			"%u",
			owed->request, header->size, owed->size);
	if (owed->ack && r->in.msg.payload.u64)
		return vhost_requests_fail(r, "the back-end refused request %u",
					   owed->request);
	return 0;
}

int vhost_requests_receive(struct vhost_requests *r, struct vhost_owed *owed)
{
	int ret = vhost_msg_receive(r->fd, &r->in);

	if (ret < 0)
		return fail_errno(r, -ret);
	if (ret == 0)
		return 0;
	if (!r->count)
		return vhost_requests_fail(
			r,
			"the back-end sent message %u, which was not asked for",
			r->in.msg.header.request);
	*owed = r->owed[r->first];
	r->first = (r->first + 1) % VHOST_OWED_MAX;
	r->count--;
	return check(r, owed) ? -EIO : 1;
}

bool vhost_requests_has(const struct vhost_requests *r, uint32_t request)
{
	for (unsigned i = 0; i < r->count; i++)
		if (r->owed[(r->first + i) % VHOST_OWED_MAX].request == request)
			return true;
	return false;
}
