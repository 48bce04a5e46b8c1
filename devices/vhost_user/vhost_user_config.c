/* The device's configuration space, which the server has: what is in it, the
 * driver's writes to it, and the channel by which the server tells of changes.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/container_of.h"
#include "devices/vhost_user/vhost_user_conn.h"

/* While the server owes more answers than this, the driver's writes are
 * dropped. */
#define OWED_CONFIG_MAX 8

int vhost_config_request(struct vhost_user *conn, size_t size)
{
	struct vhost_message msg = {
		.header = { .request = VHOST_GET_CONFIG_MSG,
			    .size = (uint32_t)(VHOST_MSG_CONFIG_HEAD + size) },
		.payload.config = { .size = (uint32_t)size },
	};

	conn->config_stale = false;
	return vhost_conn_request(conn, &msg, NULL, 0);
}

int vhost_config_take(struct vhost_user *conn, struct vhost_user_offer *offer,
		      const struct vhost_message *msg)
{
	if (msg->payload.config.offset ||
	    msg->payload.config.size != offer->config_size)
		return vhost_conn_fail(
			conn,
			"the back-end sent another part of its "
			"configuration space than was asked for");
	memcpy(offer->config, msg->payload.config.data, offer->config_size);
	return 0;
}

int vhost_config_take_change(struct vhost_user *conn,
			     const struct vhost_message *msg)
{
	if (vhost_config_take(conn, &conn->offer, msg))
		return -EIO;
	if (conn->config_stale)
		return vhost_config_request(conn, conn->offer.config_size);
	if (conn->loop)
		conn->events->config_changed(conn->ctx);
	return 0;
}

int vhost_user_set_config(struct vhost_user *conn, size_t offset,
			  const void *data, size_t size)
{
	struct vhost_message msg = {
		.header = { .request = VHOST_SET_CONFIG_MSG,
			    .size = (uint32_t)(VHOST_MSG_CONFIG_HEAD + size) },
		.payload.config = { .offset = (uint32_t)offset,
				    .size = (uint32_t)size },
	};

	if (conn->state != VHOST_READY || conn->owed_count > OWED_CONFIG_MAX)
		return 0;
	memcpy(msg.payload.config.data, data, size);
	return vhost_conn_request(conn, &msg, NULL, 0);
}

/* --- the server's channel --- */

int vhost_channel_open(struct vhost_user *conn)
{
	struct vhost_message msg = {
		.header = { .request = VHOST_SET_BACKEND_REQ_FD_MSG },
	};
	int ends[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return 0;
	ret = vhost_conn_request(conn, &msg, &ends[1], 1);
	close(ends[1]);
	if (ret) {
		close(ends[0]);
		return ret;
	}
	conn->channel_fd = ends[0];
	return 0;
}

void vhost_channel_close(struct vhost_user *conn)
{
	if (conn->loop)
		event_loop_remove(conn->loop, &conn->channel);
	cleanup_close(&conn->channel_fd);
	conn->channel_in.got = 0;
}

static void answer(struct vhost_user *conn, uint32_t type, bool known)
{
	struct vhost_message msg = {
		.header = { .request = type,
			    .flags = VHOST_MSG_VERSION | VHOST_MSG_REPLY,
			    .size = sizeof(uint64_t) },
		.payload.u64 = !known,
	};

	if (vhost_msg_send(conn->channel_fd, &msg, NULL, 0))
		vhost_channel_close(conn);
}

/* Many changes in a row lead to one more request, not to one for each. */
static void refresh(struct vhost_user *conn)
{
	if (vhost_conn_is_owed(conn, VHOST_GET_CONFIG_MSG))
		conn->config_stale = true;
	else if (vhost_config_request(conn, conn->offer.config_size))
		conn->events->lost(conn->ctx);
}

/* Takes one message per turn. Whatever is wrong with it ends the channel, not
 * the connection. */
void vhost_channel_ready(struct event_source *source, uint32_t events)
{
	struct vhost_user *conn =
		container_of(source, struct vhost_user, channel);
	const struct vhost_msg_header *header = &conn->channel_in.msg.header;
	int ret = vhost_msg_receive(conn->channel_fd, &conn->channel_in);
	bool known = header->request == VHOST_BACKEND_CONFIG_CHANGE_MSG;

	(void)events;
	if (ret < 0)
		vhost_channel_close(conn);
	if (ret <= 0 || conn->state != VHOST_READY)
		return;
	if (header->flags & VHOST_MSG_NEED_REPLY)
		answer(conn, header->request, known);
	if (known)
		refresh(conn);
}
