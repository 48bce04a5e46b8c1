/* A vhost-user back-end in a thread of the test: it answers as it is told to,
 * well or badly, and notes what it gets. It serves no ring by itself: the test
 * does, in the same address space. Failures of the host abort.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "devices/vhost_user/vhost_user_msg.h"

#define FAKE_BACKEND_RINGS 4
#define FAKE_BACKEND_REQUESTS 64

enum fake_mischief {
	FAKE_GOOD,
	FAKE_DIES,     /* instead of an answer */
	FAKE_SILENT,   /* from then on */
	FAKE_SLOW,     /* sends byte by byte */
	FAKE_SHORT,    /* eight bytes are missing */
	FAKE_LONG,     /* eight bytes too many */
	FAKE_HUGE,     /* says that a gigabyte follows */
	FAKE_WRONG_ID, /* answers another request */
	FAKE_NO_REPLY, /* its answer is no reply */
	FAKE_WRONG_VERSION,
	FAKE_WITH_FD,  /* and a descriptor */
	FAKE_WITH_FDS, /* more than there is room for, if that can be had */
	FAKE_REFUSES,  /* says no, or nonsense */
	FAKE_TWICE,    /* answers again */
};

struct fake_backend_ring {
	uint32_t size, base;
	uint64_t desc, avail, used;
	int kick, call; /* -1: none */
	bool enabled, stopped;
};

struct fake_backend {
	/* what it offers */
	uint64_t features, protocol, queues;
	uint8_t config[VHOST_CONFIG_MAX];
	size_t config_size; /* asked for more, it has none */

	/* and how it behaves from this request's so-manieth on, from 1 */
	uint32_t bad_request;
	unsigned bad_count;
	enum fake_mischief mischief;
	unsigned fds; /* of FAKE_WITH_FDS */

	/* the first region of memory, mapped; for fake_backend_use() */
	uint8_t *ram;

	/* a server for more than one connection, one after the other */
	bool again;

	/* what it has been told; read after fake_backend_wait() */
	unsigned counts[FAKE_BACKEND_REQUESTS];
	uint64_t features_set, protocol_set;
	struct vhost_msg_memory memory;
	unsigned memory_fds;
	struct vhost_msg_config config_written;
	struct fake_backend_ring rings[FAKE_BACKEND_RINGS];
	int back_fd; /* -1: none */

	int fd, listener; /* -1: none */
	pthread_t thread;
	bool running, stopping;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

/* A good one, of a block device with one queue. */
void fake_backend_init(struct fake_backend *b);

/* Starts it on one end of a pair, and returns the other. */
int fake_backend_start(struct fake_backend *b);

/* Starts it as a server that fake_backend_connect() leads to. */
void fake_backend_listen(struct fake_backend *b);

/* A connect function of struct vhost_user_options, whose ctx is the back-end:
 * -1 while it is no server. */
int fake_backend_connect(void *b, struct error *err);

/* Kills it: closes what it has. */
void fake_backend_stop(struct fake_backend *b);

/* Until it has had, and answered, that many requests of a kind since it was
 * made; fails after a long time. */
void fake_backend_wait(struct fake_backend *b, uint32_t request,
		       unsigned count);

/* What a ring's address means. */
void *fake_backend_ptr(struct fake_backend *b, uint64_t address);

/* Serves ring: an entry becomes used, and the call comes. */
void fake_backend_use(struct fake_backend *b, unsigned ring, uint32_t head,
		      uint32_t len);

/* Kicks that wait at ring; they are gone then. */
uint64_t fake_backend_kicks(struct fake_backend *b, unsigned ring);
