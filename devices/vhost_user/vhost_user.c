#include "devices/vhost_user/vhost_user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/container_of.h"
#include "base/log.h"
#include "devices/vhost_user/vhost_user_conn.h"

#define TURN_MESSAGES 32 /* taken before other sources have a turn */

/* --- the event loop --- */

void vhost_conn_set_timer(struct vhost_user *conn, unsigned ms)
{
	if (conn->loop && ms)
		timer_set_ns(&conn->timer, ms * 1000000LL);
	else if (conn->loop)
		timer_stop(&conn->timer);
}

int vhost_conn_watch(struct vhost_user *conn)
{
	int ret = 0;

	conn->source.fd = conn->fd;
	conn->channel.fd = conn->channel_fd;
	if (conn->fd >= 0)
		ret = event_loop_add(conn->loop, &conn->source, EPOLLIN);
	if (ret == 0 && conn->channel_fd >= 0)
		ret = event_loop_add(conn->loop, &conn->channel, EPOLLIN);
	return ret;
}

void vhost_conn_unwatch(struct vhost_user *conn)
{
	event_loop_remove(conn->loop, &conn->source);
	event_loop_remove(conn->loop, &conn->channel);
}

void vhost_conn_hang_up(struct vhost_user *conn)
{
	if (conn->loop)
		event_loop_remove(conn->loop, &conn->source);
	cleanup_close(&conn->fd);
	conn->in.got = 0;
	conn->owed_count = 0;
	vhost_channel_close(conn);
	conn->config_stale = false;
	conn->state = VHOST_DOWN;
	vhost_conn_set_timer(conn, conn->connect ? conn->retry_ms : 0);
}

void vhost_user_drop(struct vhost_user *conn, const char *why)
{
	vhost_conn_fail(conn, "%s", why);
}

/* Logs why a connection was lost that was in the state `before`. While no
 * server can be used, the same reason is logged once, not at every try. */
static void report_loss(struct vhost_user *conn, enum vhost_conn_state before)
{
	const char *why = conn->why;

	if (before == VHOST_READY || strcmp(conn->logged, why) != 0)
		log_guest(LOG_WARN, "%s: %s%s", conn->name, why,
			  conn->connect ? "; trying again" : "");
	memcpy(conn->logged, why, sizeof(conn->logged));
	if (before == VHOST_READY)
		conn->events->lost(conn->ctx);
}

static void socket_ready(struct event_source *source, uint32_t events)
{
	struct vhost_user *conn =
		container_of(source, struct vhost_user, source);
	enum vhost_conn_state before = conn->state;
	bool greeted;
	int ret = 1;

	(void)events;
	for (unsigned i = 0; i < TURN_MESSAGES && ret > 0; i++)
		ret = vhost_conn_take_answer(conn);
	greeted = before == VHOST_GREETING && conn->state == VHOST_READY;
	/* the greeting may have opened the channel */
	if (greeted && vhost_conn_watch(conn))
		ret = vhost_conn_fail(conn, "it cannot be watched");
	if (ret < 0)
		report_loss(conn, before);
	else if (greeted)
		conn->events->ready(conn->ctx);
}

/* Failures are not logged, since hours may pass until a server is there. */
static void retry(struct vhost_user *conn)
{
	struct error err;

	conn->fd = conn->connect(conn->connect_ctx, &err);
	if (conn->fd < 0 || vhost_conn_greet(conn) || vhost_conn_watch(conn))
		vhost_conn_hang_up(conn);
}

static void timer_ready(struct timer *timer)
{
	struct vhost_user *conn = container_of(timer, struct vhost_user, timer);
	enum vhost_conn_state before = conn->state;

	if (conn->state == VHOST_DOWN && conn->connect) {
		retry(conn);
	} else if (conn->owed_count) {
		vhost_conn_fail(conn, "the back-end does not answer");
		report_loss(conn, before);
	}
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
	conn->fd = options->fd;
	conn->channel_fd = -1;
	conn->timeout_ms = options->timeout_ms ? options->timeout_ms
					       : VHOST_USER_TIMEOUT_MS;
	conn->retry_ms = options->retry_ms ? options->retry_ms
					   : VHOST_USER_RETRY_MS;
	conn->name = strdup(options->name);
	if (!conn->name)
		error_set(err, ERROR_IO, ENOMEM, "vhost-user");
	else if (vhost_conn_greet(conn) == 0 && vhost_conn_settle(conn) == 0)
		return conn;
	else
		error_io(err, "%s", conn->why);
	vhost_user_destroy(conn);
	return NULL;
}

void vhost_user_destroy(struct vhost_user *conn)
{
	if (!conn)
		return;
	cleanup_close(&conn->fd);
	cleanup_close(&conn->channel_fd);
	free(conn->name);
	free(conn);
}

int vhost_user_attach(struct vhost_user *conn, struct event_loop *loop,
		      pthread_mutex_t *lock,
		      const struct vhost_user_events *events, void *ctx)
{
	int ret = timer_open(&conn->timer, loop, lock, timer_ready);

	if (ret)
		return ret;
	conn->source =
		(struct event_source){ .ready = socket_ready, .lock = lock };
	conn->channel = (struct event_source){ .ready = vhost_channel_ready,
					       .lock = lock };
	conn->loop = loop;
	conn->events = events;
	conn->ctx = ctx;
	ret = vhost_conn_watch(conn);
	if (ret)
		vhost_user_detach(conn);
	else if (conn->state == VHOST_DOWN && conn->connect)
		vhost_conn_set_timer(conn, conn->retry_ms);
	return ret;
}

void vhost_user_detach(struct vhost_user *conn)
{
	if (!conn->loop)
		return;
	vhost_conn_unwatch(conn);
	timer_close(&conn->timer);
	conn->loop = NULL;
	/* the next boot must not get answers to requests of this one */
	if (conn->state == VHOST_GREETING || conn->owed_count)
		vhost_user_drop(conn, "the VM ended");
}

/* --- what is known --- */

bool vhost_user_is_ready(const struct vhost_user *conn)
{
	return conn->state == VHOST_READY;
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
	return conn->why;
}
