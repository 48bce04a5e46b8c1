/* What a block device is to virtio-blk: an engine that carries out requests
 * in the background, and a way to try one without waiting.
 *
 * All functions are called under the owner's mutex; an engine has no
 * callbacks but signals an eventfd, which the owner watches. Requests belong
 * to the owner and stay put until they are reaped. An engine carries every
 * request through to its end: short transfers go on, EINTR and EAGAIN are
 * tried again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"

/* The most bytes of one transfer; longer requests go in several. The kernel
 * copies what is in its page cache while a transfer is being started, under
 * the owner's mutex, so this is also what a guest can hold that mutex for. */
#define BLOCK_TRANSFER_MAX (1u << 20)

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,
	/* These have no iovecs. The first two are one fallocate() of the whole
	 * length, and fail with -EOPNOTSUPP where the file has no such thing,
	 * or with -EINVAL where it has, but for larger blocks. */
	BLOCK_PUNCH,	    /* reads as zeroes and takes no space */
	BLOCK_ZERO,	    /* reads as zeroes and has its space */
	BLOCK_WRITE_ZEROES, /* the same in any file, by writing them */
};

struct block_request {
	enum block_op op;
	struct iovec *iov; /* consumed as the transfer goes on */
	unsigned iov_count;
	uint64_t offset; /* bytes; moves along */
	size_t left;	 /* bytes to go */
	int result;	 /* 0 or -errno, once reaped */
	bool cut;	 /* ended early, as the owner was draining the engine:
			  * may be queued again, and goes on where it was */

	/* For buffers that O_DIRECT cannot take: an aligned buffer that one
	 * piece at a time goes through. NULL without. The owner's to free. */
	void *bounce;
	/* what of bounce, or of a very long iovec, is under way */
	struct iovec piece;
	struct block_request *next; /* the engine's */
};

struct block_engine;

struct block_engine_ops {
	/* Takes a request. It starts at the latest with submit(). */
	void (*queue)(struct block_engine *engine, struct block_request *req);

	/* Starts what was queued, with one system call; or some of it, so
	 * that the call stays short, and signals the eventfd for the rest,
	 * which reap() starts. */
	void (*submit)(struct block_engine *engine);

	/* A finished request, or NULL when there is none. With wait, NULL
	 * only when nothing is queued or under way. */
	struct block_request *(*reap)(struct block_engine *engine, bool wait);

	/* No request is queued or under way. */
	void (*destroy)(struct block_engine *engine);
};

struct block_engine {
	const struct block_engine_ops *ops;
	/* Do not go on with transfers that come back short, but cut the
	 * requests: someone waits for some of them to end. Set by the
	 * owner. */
	bool draining;
};

/* fd: the disk; event_fd: signalled when requests finish. Both stay the
 * caller's. max: most requests at a time, a power of two. */
struct block_engine_config {
	int fd;
	int event_fd;
	unsigned max;
};

typedef struct block_engine *
block_engine_create_fn(const struct block_engine_config *config,
		       struct error *err);

/* The best engine to be had: io_uring, or else one thread that does a request
 * after the other, and a line in the log, at level info, that says why. */
block_engine_create_fn block_engine_create;

/* Tries a read or write with what the page cache can do at once, or, with
 * in_memory, a file that is nowhere else: it may wait no more than the guest's
 * memory does. Returns whether the request is finished; if not, it may have
 * moved on. *unsupported is set where the file cannot do this at all. */
bool block_try_now(int fd, struct block_request *req, bool in_memory,
		   bool *unsupported);

/* For engines: the iovecs to transfer next, to or from req->offset; together
 * at most BLOCK_TRANSFER_MAX bytes. */
struct iovec *block_request_next(struct block_request *req, unsigned *count);

/* For engines: how to fallocate() req->left bytes at req->offset; 0 for all
 * other operations. */
int block_request_fallocate_mode(const struct block_request *req);

/* For engines: takes the outcome of a transfer, bytes or -errno. Returns
 * whether the request is finished, with req->result set; if not, it has to
 * be queued again. */
bool block_request_step(struct block_request *req, ssize_t outcome,
			bool draining);

/* Gives a request an aligned bounce buffer. 0 or -ENOMEM. */
int block_request_bounce(struct block_request *req, size_t align);
