/* The connections of a socket device. They are found by their ports. Those that
 * have packets for the guest are in one queue, and those that wait for a step
 * with a time limit are in another.
 *
 * Entries are reused and stay allocated until the table is freed, because the
 * event loop may still hold an event of an entry's earlier socket. Such an
 * event does no harm: it only makes us look at the present socket. All
 * functions run under the device's mutex.
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
	struct vsock_entry *next; /* in the same bucket */
	int64_t deadline;	  /* of clock_ms(), while is_waiting */
	bool is_ready;		  /* in the queue of that name */
	bool is_waiting;	  /* in the queue of that name */
	bool is_half_open;	  /* counted in half_open */
};

TAILQ_HEAD(vsock_entries, vsock_entry);

typedef void vsock_ready(struct event_source *source, uint32_t events);

struct vsock_table {
	struct event_loop *loop;
	pthread_mutex_t *lock;
	vsock_ready *ready_event;
	unsigned patience_ms; /* how long a connection may wait */
	unsigned count;	      /* entries in live */
	unsigned half_open;   /* those in VSOCK_LINE or VSOCK_REQUESTED */
	struct vsock_entries live;
	struct vsock_entries unused;
	struct vsock_entries ready;   /* those that have a packet */
	struct vsock_entries waiting; /* in the order of their deadlines */
	struct vsock_entry *buckets[1 << VSOCK_BUCKET_BITS];
};

/* The loop watches each connection's socket and calls ready_event under the
 * lock. */
void vsock_table_init(struct vsock_table *table, struct event_loop *loop,
		      pthread_mutex_t *lock, vsock_ready *ready_event,
		      unsigned patience_ms);

/* To be called when all connections have ended. */
void vsock_table_free(struct vsock_table *table);

/* Adds a connection, which takes fd over. NULL, with fd closed, when there are
 * VSOCK_CONNECTIONS_MAX already, or for lack of memory. */
struct vsock_entry *vsock_table_add(struct vsock_table *table, int fd,
				    enum vsock_state state);

/* Gives a connection its ports, which no other one may have: it is found by
 * them from now on. */
void vsock_table_name(struct vsock_entry *entry, uint32_t local_port,
		      uint32_t peer_port);
struct vsock_entry *vsock_table_find(struct vsock_table *table,
				     uint32_t local_port, uint32_t peer_port);

/* Puts a connection into the queues where its state belongs. To be called after
 * anything has happened to it. A connection that has ended must not be used
 * afterwards. */
void vsock_table_settle(struct vsock_entry *entry);

/* Takes the first connection that has packets out of its queue. It goes to the
 * end of the queue when it is settled. NULL when the queue is empty. */
struct vsock_entry *vsock_table_next(struct vsock_table *table);
