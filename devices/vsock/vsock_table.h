/* The connections of a socket device: found by their ports, in a queue while
 * they have packets for the guest, and in another one while they wait for
 * somebody. There is a most of them.
 *
 * Entries stay here for reuse until the table is freed, and the unchanging
 * parts of their event sources as they are: the loop may still hold an event of
 * an earlier socket. It does no harm, as events only make us look. Under the
 * device's mutex.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/event_loop.h"
#include "devices/vsock/vsock_connection.h"

#define VSOCK_CONNECTIONS_MAX 1024

#define VSOCK_BUCKET_BITS 10

struct vsock_table;

struct vsock_entry {
	struct event_source socket;
	struct vsock_table *table;
	struct vsock_connection c;
	TAILQ_ENTRY(vsock_entry) all; /* in `live` or `unused` */
	TAILQ_ENTRY(vsock_entry) ready;
	TAILQ_ENTRY(vsock_entry) waiting;
	struct vsock_entry *next; /* of its bucket */
	int64_t deadline;	  /* ms of CLOCK_MONOTONIC, while waiting */
	bool is_found;
	bool is_ready;
	bool is_waiting;
	bool is_half_open;
};

TAILQ_HEAD(vsock_entries, vsock_entry);

typedef void vsock_ready(struct event_source *source, uint32_t events);

struct vsock_table {
	struct event_loop *loop;
	pthread_mutex_t *lock;
	vsock_ready *ready_event;
	unsigned patience_ms; /* how long each may wait */
	unsigned count;	      /* of live */
	unsigned half_open;   /* VSOCK_LINE or VSOCK_REQUESTED */
	struct vsock_entries live;
	struct vsock_entries unused;
	struct vsock_entries ready;   /* those that have a packet */
	struct vsock_entries waiting; /* in the order of their deadlines */
	struct vsock_entry *buckets[1 << VSOCK_BUCKET_BITS];
};

/* Each connection's socket is watched by the loop, which calls ready_event
 * under the lock. */
void vsock_table_init(struct vsock_table *table, struct event_loop *loop,
		      pthread_mutex_t *lock, vsock_ready *ready_event,
		      unsigned patience_ms);

/* All connections have ended. */
void vsock_table_free(struct vsock_table *table);

/* A new connection, which takes fd over. NULL, with fd closed, when there are
 * too many, or for want of memory. */
struct vsock_entry *vsock_table_add(struct vsock_table *table, int fd,
				    enum vsock_state state);

/* Makes it known by its ports. No other one may have them. */
void vsock_table_name(struct vsock_entry *entry, uint32_t local_port,
		      uint32_t peer_port);
struct vsock_entry *vsock_table_find(struct vsock_table *table,
				     uint32_t local_port, uint32_t peer_port);

/* Puts a connection where its state belongs, after whatever has happened to it.
 * One that has ended is not to be used afterwards. */
void vsock_table_settle(struct vsock_entry *entry);

/* Takes the first one out of the queue of those that have packets; it comes
 * back as the last when it is settled. NULL when there is none. */
struct vsock_entry *vsock_table_next(struct vsock_table *table);
