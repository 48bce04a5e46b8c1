#include "devices/vsock/vsock_table.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

void vsock_table_init(struct vsock_table *table, struct event_loop *loop,
		      pthread_mutex_t *lock, vsock_ready *ready_event,
		      unsigned patience_ms)
{
	*table = (struct vsock_table){
		.loop = loop,
		.lock = lock,
		.ready_event = ready_event,
		.patience_ms = patience_ms,
	};
	TAILQ_INIT(&table->live);
	TAILQ_INIT(&table->unused);
	TAILQ_INIT(&table->ready);
	TAILQ_INIT(&table->waiting);
}

void vsock_table_free(struct vsock_table *table)
{
	struct vsock_entry *entry;

	while ((entry = TAILQ_FIRST(&table->unused))) {
		TAILQ_REMOVE(&table->unused, entry, all);
		free(entry);
	}
}

static struct vsock_entry *take_entry(struct vsock_table *table)
{
	struct vsock_entry *entry = TAILQ_FIRST(&table->unused);

	if (table->count == VSOCK_CONNECTIONS_MAX)
		return NULL;
	if (entry) {
		TAILQ_REMOVE(&table->unused, entry, all);
		return entry;
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->table = table;
	entry->socket.ready = table->ready_event;
	entry->socket.lock = table->lock;
	return entry;
}

struct vsock_entry *vsock_table_add(struct vsock_table *table, int fd,
				    enum vsock_state state)
{
	struct vsock_entry *entry = take_entry(table);

	if (!entry) {
		close(fd);
		return NULL;
	}
	entry->socket.fd = fd;
	if (event_loop_add(table->loop, &entry->socket, EPOLLIN | EPOLLET)) {
		close(fd);
		TAILQ_INSERT_HEAD(&table->unused, entry, all);
		return NULL;
	}
	vsock_connection_init(&entry->c, table->loop, &entry->socket, state);
	TAILQ_INSERT_TAIL(&table->live, entry, all);
	table->count++;
	return entry;
}

/* --- by their ports --- */

static struct vsock_entry **bucket(struct vsock_table *table,
				   uint32_t local_port, uint32_t peer_port)
{
	uint64_t key = (uint64_t)local_port << 32 | peer_port;

	/* Fibonacci hashing: the high bits depend on all of the key */
	return &table->buckets[(key * 0x9e3779b97f4a7c15) >>
			       (64 - VSOCK_BUCKET_BITS)];
}

struct vsock_entry *vsock_table_find(struct vsock_table *table,
				     uint32_t local_port, uint32_t peer_port)
{
	struct vsock_entry *entry = *bucket(table, local_port, peer_port);

	while (entry && (entry->c.local_port != local_port ||
			 entry->c.peer_port != peer_port))
		entry = entry->next;
	return entry;
}

void vsock_table_name(struct vsock_entry *entry, uint32_t local_port,
		      uint32_t peer_port)
{
	struct vsock_entry **head = bucket(entry->table, local_port, peer_port);

	entry->c.local_port = local_port;
	entry->c.peer_port = peer_port;
	entry->next = *head;
	*head = entry;
}

static void forget_name(struct vsock_entry *entry)
{
	struct vsock_entry **at =
		bucket(entry->table, entry->c.local_port, entry->c.peer_port);

	while (*at && *at != entry)
		at = &(*at)->next;
	if (*at)
		*at = entry->next;
}

/* --- the queues --- */

static void set_ready(struct vsock_entry *entry, bool ready)
{
	struct vsock_table *table = entry->table;

	if (ready == entry->is_ready)
		return;
	entry->is_ready = ready;
	if (ready)
		TAILQ_INSERT_TAIL(&table->ready, entry, ready);
	else
		TAILQ_REMOVE(&table->ready, entry, ready);
}

struct vsock_entry *vsock_table_next(struct vsock_table *table)
{
	struct vsock_entry *entry = TAILQ_FIRST(&table->ready);

	if (entry)
		set_ready(entry, false);
	return entry;
}

/* The time limit is the same for all, so that a new entry's deadline is the
 * last in the queue. */
static void set_waiting(struct vsock_entry *entry, bool waiting)
{
	struct vsock_table *table = entry->table;

	if (waiting == entry->is_waiting)
		return;
	entry->is_waiting = waiting;
	if (waiting) {
		entry->deadline = clock_ms() + table->patience_ms;
		TAILQ_INSERT_TAIL(&table->waiting, entry, waiting);
	} else {
		TAILQ_REMOVE(&table->waiting, entry, waiting);
	}
}

static void set_half_open(struct vsock_entry *entry, bool half_open)
{
	entry->table->half_open += half_open - entry->is_half_open;
	entry->is_half_open = half_open;
}

void vsock_table_settle(struct vsock_entry *entry)
{
	struct vsock_table *table = entry->table;
	const struct vsock_connection *c = &entry->c;

	set_ready(entry, vsock_connection_has_packet(c));
	set_waiting(entry, vsock_connection_is_waiting(c));
	set_half_open(entry,
		      c->state == VSOCK_LINE || c->state == VSOCK_REQUESTED);
	if (c->state == VSOCK_DRAINING || c->state == VSOCK_ENDED)
		forget_name(entry);
	if (c->state == VSOCK_ENDED) {
		TAILQ_REMOVE(&table->live, entry, all);
		TAILQ_INSERT_HEAD(&table->unused, entry, all);
		table->count--;
	}
}
