#include "devices/vhost_user/vhost_user.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "base/timer.h"
#include "devices/vhost_user/vhost_user_requests.h"

/* Answers owed before the driver's writes to configuration space are left
 * out. */
#define OWED_CONFIG_MAX 8
#define TURN_MESSAGES 32 /* read before others have a turn */

enum state { DOWN, GREETING, READY };

struct vhost_user {
	const struct vhost_user_kind *kind;
	char *name;
	int (*connect)(void *ctx, struct error *err);
	void *connect_ctx;
	unsigned timeout_ms;
	unsigned retry_ms;
	char said[sizeof(((struct vhost_requests *)0)->why)]; /* in the log */

	enum state state;
	struct vhost_requests requests; /* fd -1 while DOWN */
	uint64_t protocol;		/* protocol features in use */
	bool has_protocol;
	struct vhost_user_offer offer;	/* of the last that was READY */
	struct vhost_user_offer coming; /* of the one that is greeted */
	struct vhost_vring_state base;	/* the last one told */
	bool config_stale;		/* changed since it was asked for */
	int back_fd;			/* the back-end's requests */
	struct vhost_message_in back_in;

	struct event_loop *loop; /* NULL while not attached */
	const struct vhost_user_events *events;
	void *ctx;
	struct event_source source, back_source;
	struct timer timer; /* an answer is overdue, or time to retry */
};

/* --- being attached --- */

/* 0 ms: the timer does not ring. */
static void set_timer(struct vhost_user *conn, unsigned ms)
{
	if (conn->loop && ms)
		timer_set_ns(&conn->timer, ms * 1000000LL);
	else if (conn->loop)
		timer_stop(&conn->timer);
}

/* Watches what there is to watch. */
static int watch(struct vhost_user *conn)
{
	int ret = 0;

	conn->source.fd = conn->requests.fd;
	conn->back_source.fd = conn->back_fd;
	if (conn->requests.fd >= 0)
		ret = event_loop_add(conn->loop, &conn->source, EPOLLIN);
	if (ret == 0 && conn->back_fd >= 0)
		ret = event_loop_add(conn->loop, &conn->back_source, EPOLLIN);
	return ret;
}

static void unwatch(struct vhost_user *conn)
{
	event_loop_remove(conn->loop, &conn->source);
	event_loop_remove(conn->loop, &conn->back_source);
}

/* --- the end of a connection --- */

static void close_back_channel(struct vhost_user *conn)
{
	if (conn->loop)
		event_loop_remove(conn->loop, &conn->back_source);
	cleanup_close(&conn->back_fd);
	conn->back_fd = -1;
	conn->back_in.got = 0;
}

/* Always returns -EIO. */
static int hang_up(struct vhost_user *conn)
{
	if (conn->loop)
		event_loop_remove(conn->loop, &conn->source);
	cleanup_close(&conn->requests.fd);
	conn->requests.fd = -1;
	conn->requests.in.got = 0;
	conn->requests.count = 0;
	close_back_channel(conn);
	conn->config_stale = false;
	conn->state = DOWN;
	set_timer(conn, conn->connect ? conn->retry_ms : 0);
	return -EIO;
}

/* Sets why and hangs up. */
#define fail(conn, ...) \
	(vhost_requests_fail(&(conn)->requests, __VA_ARGS__), hang_up(conn))

void vhost_user_drop(struct vhost_user *conn, const char *why)
{
	fail(conn, "%s", why);
}

/* --- requests --- */

static int request(struct vhost_user *conn, struct vhost_message *msg,
		   const int *fds, unsigned count)
{
	bool idle = !conn->requests.count;

	if (conn->state == DOWN)
		return -EIO;
	if (vhost_requests_send(&conn->requests, msg, fds, count))
		return hang_up(conn);
	if (idle && conn->requests.count)
		set_timer(conn, conn->timeout_ms);
	return 0;
}

static int request_empty(struct vhost_user *conn, uint32_t type)
{
	struct vhost_message msg = { .header = { .request = type } };

	return request(conn, &msg, NULL, 0);
}

static int request_u64(struct vhost_user *conn, uint32_t type, uint64_t value)
{
	struct vhost_message msg = {
		.header = { .request = type, .size = sizeof(value) },
		.payload.u64 = value,
	};

	return request(conn, &msg, NULL, 0);
}

static int request_state(struct vhost_user *conn, uint32_t type, unsigned index,
			 unsigned number)
{
	struct vhost_message msg = {
		.header = { .request = type,
			    .size = sizeof(msg.payload.state) },
		.payload.state = { index, number },
	};

	return request(conn, &msg, NULL, 0);
}

/* An eventfd of ring index. */
static int request_fd(struct vhost_user *conn, uint32_t type, unsigned index,
		      int fd)
{
	struct vhost_message msg = {
		.header = { .request = type, .size = sizeof(uint64_t) },
		.payload.u64 = index,
	};

	return request(conn, &msg, &fd, 1);
}

static int request_config(struct vhost_user *conn, size_t config_size)
{
	const uint32_t size = (uint32_t)config_size;
	struct vhost_message msg = {
		.header = { .request = VHOST_GET_CONFIG_MSG,
			    .size = VHOST_MSG_CONFIG_HEAD + size },
		.payload.config = { .size = size },
	};

	conn->config_stale = false;
	return request(conn, &msg, NULL, 0);
}

/* --- greeting: each step follows from the reply to the last --- */

static int finish_greeting(struct vhost_user *conn)
{
	conn->offer = conn->coming;
	conn->state = READY;
	return 0;
}

/* The back-end gets one end of a channel for requests of its own. It can do
 * without. */
static int open_back_channel(struct vhost_user *conn)
{
	struct vhost_message msg = {
		.header = { .request = VHOST_SET_BACKEND_REQ_FD_MSG },
	};
	int ends[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return 0;
	ret = request(conn, &msg, &ends[1], 1);
	close(ends[1]);
	if (ret) {
		close(ends[0]);
		return ret;
	}
	conn->back_fd = ends[0];
	return 0;
}

static int greet_config(struct vhost_user *conn)
{
	struct vhost_user_offer *coming = &conn->coming;

	if (request_empty(conn, VHOST_SET_OWNER_MSG))
		return -EIO;
	if (!conn->kind->config_size)
		return finish_greeting(conn);
	if (!(conn->protocol >> VHOST_PROTOCOL_F_CONFIG & 1))
		return fail(conn,
			    "the back-end has no configuration space: "
			    "it serves another kind of device");
	if ((conn->protocol >> VHOST_PROTOCOL_F_BACKEND_REQ & 1) &&
	    open_back_channel(conn))
		return -EIO;
	coming->config_size = conn->kind->config_size(coming->features);
	return request_config(conn, coming->config_size);
}

static int take_queue_count(struct vhost_user *conn, uint64_t count)
{
	if (count < conn->kind->queues)
		return fail(conn, "the back-end serves %u queues, not %u",
			    (unsigned)count, conn->kind->queues);
	conn->coming.queues = count < UINT32_MAX ? (unsigned)count : UINT32_MAX;
	return greet_config(conn);
}

static int take_protocol(struct vhost_user *conn, uint64_t offered)
{
	uint64_t wanted = 1ULL << VHOST_PROTOCOL_F_MQ |
			  1ULL << VHOST_PROTOCOL_F_REPLY_ACK;

	if (conn->kind->config_size)
		wanted |= 1ULL << VHOST_PROTOCOL_F_CONFIG |
			  1ULL << VHOST_PROTOCOL_F_BACKEND_REQ;
	/* with REPLY_ACK in use only from the next one on */
	if (request_u64(conn, VHOST_SET_PROTOCOL_FEATURES_MSG,
			offered & wanted))
		return -EIO;
	conn->protocol = offered & wanted;
	conn->requests.acks = conn->protocol >> VHOST_PROTOCOL_F_REPLY_ACK & 1;
	if (conn->protocol >> VHOST_PROTOCOL_F_MQ & 1)
		return request_empty(conn, VHOST_GET_QUEUE_NUM_MSG);
	return greet_config(conn);
}

static int take_features(struct vhost_user *conn, uint64_t features)
{
	if (!(features >> VIRTIO_F_VERSION_1 & 1))
		return fail(conn, "the back-end does not know virtio 1.x");
	conn->coming.features = features & ~(1ULL << VHOST_F_PROTOCOL_FEATURES);
	conn->has_protocol = features >> VHOST_F_PROTOCOL_FEATURES & 1;
	if (conn->has_protocol)
		return request_empty(conn, VHOST_GET_PROTOCOL_FEATURES_MSG);
	return greet_config(conn);
}

static int greet(struct vhost_user *conn)
{
	conn->state = GREETING;
	conn->protocol = 0;
	conn->requests.acks = false;
	conn->coming = (struct vhost_user_offer){ .queues = UINT32_MAX };
	return request_empty(conn, VHOST_GET_FEATURES_MSG);
}

/* --- replies --- */

static int take_config(struct vhost_user *conn, const struct vhost_message *msg)
{
	struct vhost_user_offer *offer = conn->state == GREETING ? &conn->coming
								 : &conn->offer;

	if (msg->payload.config.offset ||
	    msg->payload.config.size != offer->config_size)
		return fail(conn,
			    "the back-end sent another part of its "
			    "configuration space than was asked for");
	memcpy(offer->config, msg->payload.config.data, offer->config_size);
	if (conn->state == GREETING)
		return finish_greeting(conn);
	if (conn->config_stale)
		return request_config(conn, offer->config_size);
	if (conn->loop)
		conn->events->config_changed(conn->ctx);
	return 0;
}

static int take_reply(struct vhost_user *conn, uint32_t request,
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
		return take_config(conn, msg);
	default:
		conn->base = msg->payload.state;
		return 0;
	}
}

/* 1 when there was one, 0 when there is none now, -EIO. */
static int take_message(struct vhost_user *conn)
{
	struct vhost_requests *r = &conn->requests;
	struct vhost_owed owed;
	int ret = vhost_requests_receive(r, &owed);

	if (ret < 0)
		return hang_up(conn);
	if (ret == 0)
		return 0;
	set_timer(conn, r->count ? conn->timeout_ms : 0);
	if (!owed.ack && take_reply(conn, owed.request, &r->in.msg))
		return -EIO;
	return 1;
}

/* --- the back-end's own requests --- */

/* That it does not come does no harm: without a reply it is asked for again. */
static void refresh_config(struct vhost_user *conn)
{
	if (vhost_requests_has(&conn->requests, VHOST_GET_CONFIG_MSG)) {
		conn->config_stale = true;
		return;
	}
	request_config(conn, conn->offer.config_size);
}

static void answer_back(struct vhost_user *conn, uint32_t type, bool known)
{
	struct vhost_message msg = {
		.header = { .request = type,
			    .flags = VHOST_MSG_VERSION | VHOST_MSG_REPLY,
			    .size = sizeof(uint64_t) },
		.payload.u64 = !known,
	};

	if (vhost_msg_send(conn->back_fd, &msg, NULL, 0))
		close_back_channel(conn);
}

/* One message per turn. Whatever is wrong ends the channel, not the
 * connection. */
static void back_ready(struct event_source *source, uint32_t events)
{
	struct vhost_user *conn =
		container_of(source, struct vhost_user, back_source);
	const struct vhost_msg_header *header = &conn->back_in.msg.header;
	int ret = vhost_msg_receive(conn->back_fd, &conn->back_in);
	bool known = header->request == VHOST_BACKEND_CONFIG_CHANGE_MSG;

	(void)events;
	if (ret < 0)
		close_back_channel(conn);
	if (ret <= 0 || conn->state != READY)
		return;
	if (header->flags & VHOST_MSG_NEED_REPLY)
		answer_back(conn, header->request, known);
	if (!known)
		return;
	refresh_config(conn);
	if (conn->state == DOWN)
		conn->events->lost(conn->ctx);
}

/* --- the event loop --- */

/* A server that is there but unfit is told of once, not at every try. */
static void say_lost(struct vhost_user *conn, enum state before)
{
	if (before == READY || strcmp(conn->said, conn->requests.why) != 0)
		log_guest(LOG_WARN, "%s: %s%s", conn->name, conn->requests.why,
			  conn->connect ? "; trying again" : "");
	memcpy(conn->said, conn->requests.why, sizeof(conn->said));
	if (before == READY)
		conn->events->lost(conn->ctx);
}

static void conn_ready(struct event_source *source, uint32_t events)
{
	struct vhost_user *conn =
		container_of(source, struct vhost_user, source);
	enum state before = conn->state;
	int ret = 1;

	(void)events;
	for (unsigned i = 0; i < TURN_MESSAGES && ret > 0; i++)
		ret = take_message(conn);
	if (before == GREETING && conn->state == READY && watch(conn))
		ret = fail(conn, "it cannot be watched");
	if (ret < 0)
		say_lost(conn, before);
	else if (before == GREETING && conn->state == READY)
		conn->events->ready(conn->ctx);
}

/* Quietly: it may take hours. */
static void retry(struct vhost_user *conn)
{
	struct error err;

	conn->requests.fd = conn->connect(conn->connect_ctx, &err);
	if (conn->requests.fd < 0 || greet(conn) || watch(conn))
		hang_up(conn);
}

static void timer_ready(struct timer *timer)
{
	struct vhost_user *conn = container_of(timer, struct vhost_user, timer);
	enum state before = conn->state;

	if (conn->state == DOWN) {
		if (conn->connect)
			retry(conn);
	} else if (conn->requests.count) {
		fail(conn, "the back-end does not answer");
		say_lost(conn, before);
	}
}

/* --- waiting --- */

/* Until nothing is owed any more. */
static int settle(struct vhost_user *conn)
{
	int64_t end = clock_ms() + conn->timeout_ms;

	while (conn->state != DOWN && conn->requests.count) {
		struct pollfd in = { .fd = conn->requests.fd,
				     .events = POLLIN };
		int64_t left = end - clock_ms();

		if (left <= 0)
			return fail(conn, "the back-end does not answer");
		if (poll(&in, 1, (int)left) > 0)
			take_message(conn);
	}
	return conn->state == READY ? 0 : -EIO;
}

/* --- life --- */

struct vhost_user *vhost_user_create(const struct vhost_user_options *options,
				     struct error *err)
{
	struct vhost_user *conn = calloc(1, sizeof(*conn));

	if (!conn) {
		close(options->fd);
		error_set(err, ERROR_IO, ENOMEM, "vhost-user");
		return NULL;
	}
	conn->kind = options->kind;
	conn->connect = options->connect;
	conn->connect_ctx = options->ctx;
	conn->requests.fd = options->fd;
	conn->back_fd = -1;
	conn->timeout_ms = options->timeout_ms ? options->timeout_ms
					       : VHOST_USER_TIMEOUT_MS;
	conn->retry_ms = options->retry_ms ? options->retry_ms
					   : VHOST_USER_RETRY_MS;
	conn->name = strdup(options->name);
	if (!conn->name)
		error_set(err, ERROR_IO, ENOMEM, "vhost-user");
	else if (greet(conn) == 0 && settle(conn) == 0)
		return conn;
	else
		error_set(err, ERROR_IO, 0, "%s", conn->requests.why);
	vhost_user_destroy(conn);
	return NULL;
}

void vhost_user_destroy(struct vhost_user *conn)
{
	if (!conn)
		return;
	cleanup_close(&conn->requests.fd);
	cleanup_close(&conn->back_fd);
	free(conn->name);
	free(conn);
}

bool vhost_user_is_ready(const struct vhost_user *conn)
{
	return conn->state == READY;
}

const struct vhost_user_offer *vhost_user_offer(const struct vhost_user *conn)
{
	return &conn->offer;
}

const char *vhost_user_name(const struct vhost_user *conn)
{
	return conn->name;
}

unsigned vhost_user_timeout(const struct vhost_user *conn)
{
	return conn->timeout_ms;
}

const char *vhost_user_reason(const struct vhost_user *conn)
{
	return conn->requests.why;
}

int vhost_user_attach(struct vhost_user *conn, struct event_loop *loop,
		      pthread_mutex_t *lock,
		      const struct vhost_user_events *events, void *ctx)
{
	int ret = timer_open(&conn->timer, loop, lock, timer_ready);

	if (ret)
		return ret;
	conn->source =
		(struct event_source){ .ready = conn_ready, .lock = lock };
	conn->back_source =
		(struct event_source){ .ready = back_ready, .lock = lock };
	conn->loop = loop;
	conn->events = events;
	conn->ctx = ctx;
	ret = watch(conn);
	if (ret)
		vhost_user_detach(conn);
	else if (conn->state == DOWN && conn->connect)
		set_timer(conn, conn->retry_ms);
	return ret;
}

void vhost_user_detach(struct vhost_user *conn)
{
	if (!conn->loop)
		return;
	unwatch(conn);
	timer_close(&conn->timer);
	conn->loop = NULL;
	/* what was begun ends here; the next boot begins anew */
	if (conn->state == GREETING || conn->requests.count)
		vhost_user_drop(conn, "the VM ended");
}

/* --- what a device asks for --- */

int vhost_user_set_features(struct vhost_user *conn, uint64_t features)
{
	features &= conn->offer.features;
	if (conn->has_protocol)
		features |= 1ULL << VHOST_F_PROTOCOL_FEATURES;
	return request_u64(conn, VHOST_SET_FEATURES_MSG, features);
}

/* What is called the front-end's address means nothing to a back-end but where
 * a ring lies. The guest's will do: it tells nothing of our own, and stays when
 * the next boot has its memory elsewhere, where some back-ends look for the old
 * rings again. */
int vhost_user_set_memory(struct vhost_user *conn, const struct guest_mem *mem)
{
	_Static_assert(GUEST_REGIONS_MAX <= VHOST_REGIONS_MAX,
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
	return request(conn, &msg, fds, count);
}

static int send_call(struct vhost_user *conn, unsigned index,
		     const struct vhost_user_ring *ring)
{
	return request_fd(conn, VHOST_SET_VRING_CALL_MSG, index, ring->call);
}

int vhost_user_start_queue(struct vhost_user *conn, unsigned index,
			   const struct vhost_user_ring *ring)
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

	/* the kick starts the ring, so it comes last; without protocol features
	 * it is enabled then, too */
	if (request_state(conn, VHOST_SET_VRING_NUM_MSG, index, ring->size) ||
	    request_state(conn, VHOST_SET_VRING_BASE_MSG, index, ring->base) ||
	    (call_first && send_call(conn, index, ring)) ||
	    request(conn, &addr, NULL, 0) ||
	    (!call_first && send_call(conn, index, ring)) ||
	    request_fd(conn, VHOST_SET_VRING_KICK_MSG, index, ring->kick))
		return -EIO;
	if (!conn->has_protocol)
		return 0;
	return request_state(conn, VHOST_SET_VRING_ENABLE_MSG, index, 1);
}

int vhost_user_stop_queue(struct vhost_user *conn, unsigned index,
			  uint16_t *base)
{
	int ret;

	/* Nothing of ours holds up the event loop while this waits with the
	 * device's mutex. */
	unwatch(conn);
	timer_stop(&conn->timer); /* settle() has a time limit of its own */
	ret = request_state(conn, VHOST_GET_VRING_BASE_MSG, index, 0);
	if (ret == 0)
		ret = settle(conn);
	if (ret == 0 && conn->base.index != index)
		ret = fail(conn, "the back-end stopped ring %u, not %u",
			   conn->base.index, index);
	*base = (uint16_t)conn->base.num;
	if (watch(conn))
		ret = fail(conn, "it cannot be watched any more");
	return ret;
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

	if (conn->state != READY || conn->requests.count > OWED_CONFIG_MAX)
		return 0;
	memcpy(msg.payload.config.data, data, size);
	return request(conn, &msg, NULL, 0);
}
