/* What a device tells its server: features, guest memory and rings. */
#include <assert.h>
#include <errno.h>

#include "devices/vhost_user/vhost_user_conn.h"

int vhost_user_set_features(struct vhost_user *conn, uint64_t features)
{
	features &= conn->offer.features;
	if (conn->has_protocol)
		features |= 1ULL << VHOST_F_PROTOCOL_FEATURES;
	return vhost_conn_request_u64(conn, VHOST_SET_FEATURES_MSG, features);
}

/* A region has a "user address", an address in our process, but a server only
 * compares it with the addresses of rings. The guest physical address serves as
 * well. It reveals nothing about our process, and it is the same in the next
 * boot, where some servers look for the rings of the last one. */
int vhost_user_set_memory(struct vhost_user *conn, const struct guest_mem *mem)
{
	static_assert(GUEST_REGIONS_MAX <= VHOST_REGIONS_MAX,
		      "a message has room for all regions");
	struct vhost_message msg = {
		.header = { .request = VHOST_SET_MEM_TABLE_MSG },
	};
	int fds[GUEST_REGIONS_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < mem->count; i++) {
		const struct guest_region *r = &mem->regions[i];

		if (r->fd < 0)
			continue;
		msg.payload.memory.regions[count] = (struct vhost_msg_region){
			.gpa = r->gpa,
			.size = r->size,
			.address = r->gpa,
			.offset = r->offset,
		};
		fds[count++] = r->fd;
	}
	msg.payload.memory.count = count;
	msg.header.size =
		(uint32_t)(offsetof(struct vhost_msg_memory, regions) +
			   count * sizeof(struct vhost_msg_region));
	return vhost_conn_request(conn, &msg, fds, count);
}

/* --- rings --- */

static int request_state(struct vhost_user *conn, uint32_t type, unsigned index,
			 unsigned number)
{
	struct vhost_message msg = {
		.header = { .request = type,
			    .size = sizeof(msg.payload.state) },
		.payload.state = { index, number },
	};

	return vhost_conn_request(conn, &msg, NULL, 0);
}

/* Sends an eventfd of ring index. */
static int request_fd(struct vhost_user *conn, uint32_t type, unsigned index,
		      int fd)
{
	struct vhost_message msg = {
		.header = { .request = type, .size = sizeof(uint64_t) },
		.payload.u64 = index,
	};

	return vhost_conn_request(conn, &msg, &fd, 1);
}

static int send_call(struct vhost_user *conn, unsigned index, int call)
{
	return request_fd(conn, VHOST_SET_VRING_CALL_MSG, index, call);
}

int vhost_user_start_queue(struct vhost_user *conn, unsigned index,
			   const struct virtqueue_state *ring, int kick,
			   int call)
{
	bool call_first = conn->kind->call_first;
	struct vhost_message addr = {
		.header = { .request = VHOST_SET_VRING_ADDR_MSG,
			    .size = sizeof(addr.payload.addr) },
		.payload.addr = {
			.index = index,
			.desc_user_addr = ring->desc,
			.used_user_addr = ring->used,
			.avail_user_addr = ring->avail,
		},
	};

	/* The kick starts the ring, so it comes last. Without protocol features
	 * it also enables the ring. */
	if (request_state(conn, VHOST_SET_VRING_NUM_MSG, index, ring->size) ||
	    request_state(conn, VHOST_SET_VRING_BASE_MSG, index,
			  ring->next_avail) ||
	    (call_first && send_call(conn, index, call)) ||
	    vhost_conn_request(conn, &addr, NULL, 0) ||
	    (!call_first && send_call(conn, index, call)) ||
	    request_fd(conn, VHOST_SET_VRING_KICK_MSG, index, kick))
		return -EIO;
	if (!conn->has_protocol)
		return 0;
	return request_state(conn, VHOST_SET_VRING_ENABLE_MSG, index, 1);
}

int vhost_user_stop_queue(struct vhost_user *conn, unsigned index,
			  uint16_t *base)
{
	int ret;

	if (conn->state == VHOST_DOWN)
		return -EIO;
	/* The caller holds the device's mutex while this waits. The event loop
	 * would wait for the mutex if a socket or the timer called it now. */
	vhost_conn_unwatch(conn);
	vhost_conn_set_timer(conn, 0);
	ret = request_state(conn, VHOST_GET_VRING_BASE_MSG, index, 0);
	if (ret == 0)
		ret = vhost_conn_settle(conn);
	if (ret == 0 && conn->base.index != index)
		ret = vhost_conn_fail(conn,
				      "the back-end stopped ring %u, not %u",
				      conn->base.index, index);
	*base = (uint16_t)conn->base.num;
	if (vhost_conn_watch(conn))
		ret = vhost_conn_fail(conn, "it cannot be watched any more");
	return ret;
}
