#include "devices/vsock/vsock_mux.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "base/timer.h"

#define ACCEPT_TURN 16 /* connections, before other devices have a turn */

/* How long to wait before the next try when a connection cannot be accepted
 * for lack of descriptors or memory. */
#define ACCEPT_PAUSE_MS 500

#define PATIENCE_MS 20000 /* the default of the options */

/* The fields of an RST packet that belongs to no connection. */
struct reply {
	uint32_t src_cid;
	uint32_t src_port;
	uint32_t dst_port;
	uint16_t type;
};

struct vsock_mux {
	struct vsock_mux_options options;
	bool running;
	struct event_source listener; /* watched while one may be accepted */
	bool listener_paused;	      /* until the timer rings */
	struct timer timer;
	bool timer_set;
	uint32_t next_port;   /* of the host's end, to be tried first */
	unsigned reply_first; /* of replies, which is a ring */
	unsigned reply_count;
	struct reply replies[VSOCK_REPLIES_MAX];
	struct vsock_table table;
};

/* --- timer, listener and wake-ups --- */

static void set_timer(struct vsock_mux *mux, int64_t ms)
{
	timer_set_ns(&mux->timer, ms * 1000000);
	mux->timer_set = true;
}

static void watch_listener(struct vsock_mux *mux)
{
	int ret = 0;

	if (!mux->running || mux->listener_paused ||
	    mux->table.half_open >= VSOCK_HALF_OPEN_MAX)
		event_loop_remove(mux->options.loop, &mux->listener);
	else
		ret = event_loop_add(mux->options.loop, &mux->listener,
				     EPOLLIN);
	if (ret)
		log_guest(LOG_ERROR, "vsock: %s", strerror(-ret));
}

/* To be called after anything has happened to a connection. */
static void settle(struct vsock_mux *mux, struct vsock_entry *entry)
{
	vsock_table_settle(entry);
	if (!mux->timer_set && !TAILQ_EMPTY(&mux->table.waiting))
		set_timer(mux, mux->table.patience_ms);
	watch_listener(mux);
}

static void wake(struct vsock_mux *mux)
{
	if (vsock_mux_has_packet(mux))
		mux->options.wake(mux->options.ctx);
}

/* --- connections that programs of the host open --- */

/* Chooses a port that no other connection to this port of the guest has. There
 * are a billion ports and VSOCK_CONNECTIONS_MAX connections, so one is free. */
static uint32_t choose_port(struct vsock_mux *mux, uint32_t peer_port)
{
	uint32_t port;

	do {
		port = mux->next_port;
		mux->next_port = port == VSOCK_PORT_LAST ? VSOCK_PORT_FIRST
							 : port + 1;
	} while (vsock_table_find(&mux->table, port, peer_port));
	return port;
}

static void read_line(struct vsock_mux *mux, struct vsock_entry *entry)
{
	struct vsock_connection *c = &entry->c;
	uint32_t port;
	int ret = vsock_line_read(&c->line, c->socket->fd, &port);

	if (ret < 0) {
		vsock_connection_end(c);
	} else if (ret > 0) {
		vsock_table_name(entry, choose_port(mux, port), port);
		c->state = VSOCK_REQUESTED;
		c->opening = VIRTIO_VSOCK_OP_REQUEST;
	}
}

static void socket_ready(struct event_source *source, uint32_t events)
{
	struct vsock_entry *entry =
		container_of(source, struct vsock_entry, socket);
	struct vsock_mux *mux =
		container_of(entry->table, struct vsock_mux, table);

	if (entry->c.state == VSOCK_LINE)
		read_line(mux, entry);
	else
		vsock_connection_ready(&entry->c, events);
	settle(mux, entry);
	wake(mux);
}

static void listener_ready(struct event_source *source, uint32_t events)
{
	struct vsock_mux *mux =
		container_of(source, struct vsock_mux, listener);

	(void)events;
	for (unsigned turn = ACCEPT_TURN; turn > 0 && source->active; turn--) {
		int fd = accept4(source->fd, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct vsock_entry *entry;

		if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
			return;
		if (fd < 0) {
			log_guest(LOG_WARN, "vsock: accept: %s",
				  strerror(errno));
			mux->listener_paused = true;
			watch_listener(mux);
			set_timer(mux, ACCEPT_PAUSE_MS);
			return;
		}
		entry = vsock_table_add(&mux->table, fd, VSOCK_LINE);
		if (entry)
			settle(mux, entry);
	}
}

static void timer_ready(struct timer *timer)
{
	struct vsock_mux *mux = container_of(timer, struct vsock_mux, timer);
	int64_t now = clock_ms();
	struct vsock_entry *entry;

	mux->listener_paused = false;
	mux->timer_set = false;
	while ((entry = TAILQ_FIRST(&mux->table.waiting)) &&
	       entry->deadline <= now) {
		vsock_connection_time_out(&entry->c);
		settle(mux, entry);
	}
	if (entry)
		set_timer(mux, entry->deadline - now);
	watch_listener(mux);
	wake(mux);
}

/* --- packets from the guest --- */

/* 5.10.6.5: a packet that belongs to no connection is answered with an RST. */
static void reply_reset(struct vsock_mux *mux,
			const struct vsock_packet *packet)
{
	unsigned at = (mux->reply_first + mux->reply_count) % VSOCK_REPLIES_MAX;

	if (packet->op == VIRTIO_VSOCK_OP_RST)
		return;
	mux->replies[at] = (struct reply){
		.src_cid = (uint32_t)packet->dst_cid,
		.src_port = packet->dst_port,
		.dst_port = packet->src_port,
		.type = packet->type,
	};
	mux->reply_count++;
}

static struct vsock_entry *open_for_guest(struct vsock_mux *mux,
					  const struct vsock_packet *packet)
{
	struct vsock_entry *entry;
	int fd;

	if (mux->table.count == VSOCK_CONNECTIONS_MAX)
		return NULL;
	fd = mux->options.host.connect(mux->options.host.connect_ctx,
				       packet->dst_port);
	if (fd < 0)
		return NULL;
	entry = vsock_table_add(&mux->table, fd, VSOCK_OPEN);
	if (!entry)
		return NULL;
	vsock_table_name(entry, packet->dst_port, packet->src_port);
	vsock_connection_credit(&entry->c, packet);
	entry->c.opening = VIRTIO_VSOCK_OP_RESPONSE;
	return entry;
}

bool vsock_mux_may_receive(const struct vsock_mux *mux)
{
	return mux->reply_count < VSOCK_REPLIES_MAX;
}

void vsock_mux_receive(struct vsock_mux *mux, const struct vsock_packet *packet,
		       const struct iov_cursor *payload)
{
	struct vsock_entry *entry;

	/* A false source address and an impossible destination get no answer,
	 * as on any network. */
	if (!mux->running || packet->src_cid != mux->options.host.guest_cid ||
	    packet->dst_cid > UINT32_MAX)
		return;
	if (packet->dst_cid != VSOCK_HOST_CID ||
	    packet->type != VIRTIO_VSOCK_TYPE_STREAM) {
		reply_reset(mux, packet);
		return;
	}
	entry = vsock_table_find(&mux->table, packet->dst_port,
				 packet->src_port);
	if (entry)
		vsock_connection_receive(&entry->c, packet, payload);
	else if (packet->op == VIRTIO_VSOCK_OP_REQUEST)
		entry = open_for_guest(mux, packet);
	if (entry)
		settle(mux, entry);
	else
		reply_reset(mux, packet);
}

/* --- packets for the guest --- */

bool vsock_mux_has_packet(const struct vsock_mux *mux)
{
	return mux->reply_count || !TAILQ_EMPTY(&mux->table.ready);
}

static void take_reply(struct vsock_mux *mux, struct vsock_packet *packet)
{
	const struct reply *reply = &mux->replies[mux->reply_first];

	*packet = (struct vsock_packet){
		.src_cid = reply->src_cid,
		.dst_cid = mux->options.host.guest_cid,
		.src_port = reply->src_port,
		.dst_port = reply->dst_port,
		.type = reply->type,
		.op = VIRTIO_VSOCK_OP_RST,
	};
	mux->reply_first = (mux->reply_first + 1) % VSOCK_REPLIES_MAX;
	mux->reply_count--;
}

bool vsock_mux_next(struct vsock_mux *mux, struct vsock_packet *packet,
		    struct iov_cursor payload)
{
	struct vsock_entry *entry;
	bool made = false;

	if (mux->reply_count) {
		take_reply(mux, packet);
		return true;
	}
	while (!made && (entry = vsock_table_next(&mux->table))) {
		made = vsock_connection_next(&entry->c, packet, payload);
		settle(mux, entry);
	}
	if (made) {
		packet->src_cid = VSOCK_HOST_CID;
		packet->dst_cid = mux->options.host.guest_cid;
	}
	return made;
}

/* --- life --- */

void vsock_mux_start(struct vsock_mux *mux)
{
	mux->running = true;
	watch_listener(mux);
}

void vsock_mux_stop(struct vsock_mux *mux)
{
	struct vsock_entry *entry = TAILQ_FIRST(&mux->table.live);

	mux->running = false;
	watch_listener(mux);
	while (entry) {
		struct vsock_entry *next = TAILQ_NEXT(entry, all);

		vsock_connection_forget_guest(&entry->c);
		settle(mux, entry);
		entry = next;
	}
	mux->reply_count = 0;
}

struct vsock_mux *vsock_mux_create(const struct vsock_mux_options *options,
				   struct error *err)
{
	struct vsock_mux *mux = calloc(1, sizeof(*mux));
	int ret = mux ? 0 : -ENOMEM;

	if (mux) {
		mux->options = *options;
		mux->next_port = VSOCK_PORT_FIRST;
		mux->listener.fd = options->host.listen_fd;
		mux->listener.ready = listener_ready;
		mux->listener.lock = options->lock;
		vsock_table_init(&mux->table, options->loop, options->lock,
				 socket_ready,
				 options->host.patience_ms
					 ? options->host.patience_ms
					 : PATIENCE_MS);
		ret = timer_open(&mux->timer, options->loop, options->lock,
				 timer_ready);
	}
	if (ret == 0)
		return mux;
	free(mux);
	error_set(err, ERROR_IO, -ret, "vsock");
	return NULL;
}

void vsock_mux_destroy(struct vsock_mux *mux)
{
	struct vsock_entry *entry;

	if (!mux)
		return;
	vsock_mux_stop(mux);
	/* connections that are still draining */
	while ((entry = TAILQ_FIRST(&mux->table.live))) {
		vsock_connection_end(&entry->c);
		settle(mux, entry);
	}
	vsock_table_free(&mux->table);
	timer_close(&mux->timer);
	free(mux);
}
