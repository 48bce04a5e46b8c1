/* The greeting: what a server is asked before it is given rings. Each request
 * follows from the answer to the one before.
 */
#include <errno.h>
#include <linux/virtio_config.h>

#include "devices/vhost_user/vhost_user_conn.h"

static int request_empty(struct vhost_user *conn, uint32_t type)
{
	struct vhost_message msg = { .header = { .request = type } };

	return vhost_conn_request(conn, &msg, NULL, 0);
}

static int finish(struct vhost_user *conn)
{
	conn->offer = conn->coming;
	conn->state = VHOST_READY;
	return 0;
}

static int ask_for_config(struct vhost_user *conn)
{
	struct vhost_user_offer *coming = &conn->coming;

	if (request_empty(conn, VHOST_SET_OWNER_MSG))
		return -EIO;
	if (!conn->kind->config_size)
		return finish(conn);
	if (!vhost_conn_has(conn, VHOST_PROTOCOL_F_CONFIG))
		return vhost_conn_fail(conn,
				       "the back-end has no configuration "
				       "space: it serves another kind of "
				       "device");
	if (vhost_conn_has(conn, VHOST_PROTOCOL_F_BACKEND_REQ) &&
	    vhost_channel_open(conn))
		return -EIO;
	coming->config_size = conn->kind->config_size(coming->features);
	return vhost_config_request(conn, coming->config_size);
}

static int take_queue_count(struct vhost_user *conn, uint64_t count)
{
	if (count < conn->kind->queues)
		return vhost_conn_fail(conn,
				       "the back-end serves %u queues, not %u",
				       (unsigned)count, conn->kind->queues);
	conn->coming.queues = count < UINT32_MAX ? (unsigned)count : UINT32_MAX;
	return ask_for_config(conn);
}

static int take_protocol(struct vhost_user *conn, uint64_t offered)
{
	uint64_t wanted = 1ULL << VHOST_PROTOCOL_F_MQ |
			  1ULL << VHOST_PROTOCOL_F_REPLY_ACK;

	if (conn->kind->config_size)
		wanted |= 1ULL << VHOST_PROTOCOL_F_CONFIG |
			  1ULL << VHOST_PROTOCOL_F_BACKEND_REQ;
	/* the server acknowledges requests only after this one */
	if (vhost_conn_request_u64(conn, VHOST_SET_PROTOCOL_FEATURES_MSG,
				   offered & wanted))
		return -EIO;
	conn->protocol = offered & wanted;
	if (vhost_conn_has(conn, VHOST_PROTOCOL_F_MQ))
		return request_empty(conn, VHOST_GET_QUEUE_NUM_MSG);
	return ask_for_config(conn);
}

static int take_features(struct vhost_user *conn, uint64_t features)
{
	if (!(features >> VIRTIO_F_VERSION_1 & 1))
		return vhost_conn_fail(conn,
				       "the back-end does not know virtio 1.x");
	conn->coming.features = features & ~(1ULL << VHOST_F_PROTOCOL_FEATURES);
	conn->has_protocol = features >> VHOST_F_PROTOCOL_FEATURES & 1;
	if (conn->has_protocol)
		return request_empty(conn, VHOST_GET_PROTOCOL_FEATURES_MSG);
	return ask_for_config(conn);
}

int vhost_conn_greet(struct vhost_user *conn)
{
	conn->state = VHOST_GREETING;
	conn->protocol = 0;
	conn->coming = (struct vhost_user_offer){ .queues = UINT32_MAX };
	return request_empty(conn, VHOST_GET_FEATURES_MSG);
}

int vhost_conn_take_reply(struct vhost_user *conn, uint32_t request,
			  const struct vhost_message *msg)
{
	switch (request) {
	case VHOST_GET_FEATURES_MSG:
		return take_features(conn, msg->payload.u64);
	case VHOST_GET_PROTOCOL_FEATURES_MSG:
		return take_protocol(conn, msg->payload.u64);
	case VHOST_GET_QUEUE_NUM_MSG:
		return take_queue_count(conn, msg->payload.u64);
	case VHOST_GET_CONFIG_MSG:
		if (conn->state == VHOST_READY)
			return vhost_config_take_change(conn, msg);
		if (vhost_config_take(conn, &conn->coming, msg))
			return -EIO;
		return finish(conn);
	default:
		conn->base = msg->payload.state;
		return 0;
	}
}
