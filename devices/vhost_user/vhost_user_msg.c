#include "devices/vhost_user/vhost_user_msg.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEADER sizeof(struct vhost_msg_header)

static_assert(HEADER == 12, "vhost-user.rst, Header");
static_assert(offsetof(struct vhost_message, payload) == HEADER,
	      "no gap between header and payload");
static_assert(sizeof(struct vhost_msg_region) == 32 &&
		      offsetof(struct vhost_msg_memory, regions) == 8,
	      "vhost-user.rst, Memory regions description");
static_assert(VHOST_MSG_CONFIG_HEAD == 12,
	      "vhost-user.rst, Virtio device config space");

int vhost_msg_send(int fd, struct vhost_message *msg, const int *fds,
		   unsigned count)
{
	union {
		struct cmsghdr header;
		uint8_t room[CMSG_SPACE(VHOST_REGIONS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { msg, HEADER + msg->header.size };
	struct msghdr out = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	if (count > 0) {
		out.msg_control = &control;
		out.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
	}
	sent = sendmsg(fd, &out, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return -errno;
	return (size_t)sent == iov.iov_len ? 0 : -EAGAIN;
}

/* Closes the descriptors that came with a message. Returns whether any did. */
static bool close_descriptors(struct msghdr *in)
{
	bool any = in->msg_flags & MSG_CTRUNC;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(in); c; c = CMSG_NXTHDR(in, c)) {
		size_t bytes = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= bytes;
		     at += sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
			close(fd);
			any = true;
		}
	}
	return any;
}

/* Returns how many bytes came, 0 when none are there now, or -errno. */
static ssize_t receive_bytes(int fd, void *to, size_t len)
{
	union {
		struct cmsghdr align;
		uint8_t room[CMSG_SPACE(VHOST_REGIONS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { to, len };
	struct msghdr in = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got = recvmsg(fd, &in, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (close_descriptors(&in))
		return -EPROTO;
	return got ? got : -ECONNRESET;
}

int vhost_msg_receive(int fd, struct vhost_message_in *in)
{
	uint8_t *to = (uint8_t *)&in->msg;

	for (;;) {
		size_t want = HEADER;
		ssize_t got;

		if (in->got >= HEADER) {
			want += in->msg.header.size;
			if (in->got == want) {
				in->got = 0;
				return 1;
			}
		}
		got = receive_bytes(fd, to + in->got, want - in->got);
		if (got <= 0)
			return (int)got;
		in->got += (size_t)got;
		if (in->got == HEADER &&
		    in->msg.header.size > VHOST_MSG_PAYLOAD_MAX)
			return -EPROTO;
	}
}
