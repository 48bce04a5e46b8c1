/* Block engines: what carries out the requests of a block device, in the
 * background; and a way to try one request without waiting.
 *
 * An engine works on one open file. It has no callbacks: it signals an eventfd,
 * which the owner watches, and the owner then takes the finished requests. A
 * request belongs to the owner, who leaves it alone between queueing and
 * reaping. The engine carries every request through to its end: it goes on
 * after a short transfer, and tries again after EINTR and EAGAIN.
 *
 * All functions are called under the owner's mutex.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/event_loop.h"

/* The most bytes of one transfer. Longer requests take several. The kernel
 * copies what is in its page cache while it starts a transfer, and the owner
 * holds its mutex meanwhile: so this also bounds how long a guest can have
 * that mutex held. */
#define BLOCK_TRANSFER_MAX (1u << 20)

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,
	/* The following have no iovecs. The first two are one fallocate() of
	 * the whole length. They fail with -EOPNOTSUPP if the file cannot do
	 * this at all, and with -EINVAL if it can do it only for larger blocks
	 * than these. */
	BLOCK_PUNCH,	    /* the range reads as zeroes and takes no space */
	BLOCK_ZERO,	    /* the range reads as zeroes and has its space */
	BLOCK_WRITE_ZEROES, /* like BLOCK_ZERO, by writing: works in any file */
};

struct block_request {
	enum block_op op;
	unsigned iov_count;
	struct iovec *iov; /* changed as the transfer advances */
	uint64_t offset;   /* bytes; advances with the transfer */
	size_t left;	   /* bytes to go */
	int result;	   /* 0 or -errno; valid when reaped */
	bool cut;	   /* ended early because the owner was draining the
			    * engine; queued again, it goes on where it was */

	/* For buffers that O_DIRECT cannot take: an aligned buffer, through
	 * which the data goes piece by piece. NULL if not needed. The owner
	 * frees it. */
	void *bounce;
	struct iovec piece; /* the part of bounce, of a very long iovec or of
			     * the zeroes that is under way */
	struct block_request *next; /* for the engine */
};

struct block_engine;

/* Implemented by engines; called by the functions below alone. */
struct block_engine_ops {
	void (*queue)(struct block_engine *engine, struct block_request *req);
	void (*submit)(struct block_engine *engine);
	/* At least one request is queued or under way. */
	struct block_request *(*reap)(struct block_engine *engine, bool wait);
	int (*set_file)(struct block_engine *engine, int fd);
	void (*destroy)(struct block_engine *engine);
};

struct block_engine {
	const struct block_engine_ops *ops;
	unsigned inflight; /* requests queued or under way */
	bool queued;	   /* some were queued since the last submit */

	/* Set by the owner while it waits for some requests to end: the engine
	 * then cuts a request whose transfer came back short. Read by the
	 * engine's thread, too. */
	atomic_bool draining;
};

struct block_engine_options {
	int fd;	      /* the file; stays the caller's */
	int event_fd; /* signalled when requests finish; stays the caller's */
	unsigned max; /* most requests at a time: a power of two */
};

/* NULL with err set when the engine cannot be had. */
typedef struct block_engine *
block_engine_create_fn(const struct block_engine_options *options,
		       struct error *err);

/* io_uring. Fails with "io_uring: ..." if the kernel or a seccomp filter
 * refuses any part of it. */
block_engine_create_fn block_uring_create;

/* A thread that carries out one request at a time. */
block_engine_create_fn block_thread_create;

/* Creates the better of the two that the host allows. If that is the thread, a
 * line in the log, at level info, says why. */
block_engine_create_fn block_engine_create;

/* Creates an engine by create(), or block_engine_create() for NULL, and has
 * loop call completions->ready when requests finish. The owner has set ready
 * and lock of completions; this opens its fd, the engine's event_fd. NULL with
 * err set. In either case block_engine_close() ends it. */
struct block_engine *block_engine_open(block_engine_create_fn *create,
				       struct block_engine_options options,
				       struct event_loop *loop,
				       struct event_source *completions,
				       struct error *err);

/* No request is queued or under way. engine NULL and completions->fd -1 are
 * fine. */
void block_engine_close(struct block_engine *engine, struct event_loop *loop,
			struct event_source *completions);

/* Hands over a request. The engine starts it at the latest with the next
 * submit. */
void block_engine_queue(struct block_engine *engine, struct block_request *req);

/* Starts what was queued, if anything, with one system call. Where that call
 * would take too long, starts a part and signals the eventfd: the next reap
 * starts more. */
void block_engine_submit(struct block_engine *engine);

/* Returns a finished request, or NULL when there is none. With wait, NULL means
 * that nothing is queued or under way. */
struct block_request *block_engine_reap(struct block_engine *engine, bool wait);

/* Makes the engine work on another file, which stays the caller's. 0 or -errno;
 * on failure the engine keeps its file. -EBUSY while requests are queued or
 * under way. */
int block_engine_set_file(struct block_engine *engine, int fd);

/* Tries a read or write with what the page cache can do at once. in_memory says
 * that the page cache is the only place of the file: then it may wait, but no
 * longer than for guest memory. Returns whether the request is finished; if
 * not, it may have advanced. Sets *unsupported if the file cannot do this at
 * all. */
bool block_try_now(int fd, struct block_request *req, bool in_memory,
		   bool *unsupported);

/* For engines: requests in the order in which they came. */
struct block_list {
	struct block_request *head, **tail;
};

static inline void block_list_init(struct block_list *list)
{
	*list = (struct block_list){ .tail = &list->head };
}

static inline void block_list_append(struct block_list *list,
				     struct block_request *req)
{
	req->next = NULL;
	*list->tail = req;
	list->tail = &req->next;
}

/* The first one, or NULL. */
static inline struct block_request *block_list_take(struct block_list *list)
{
	struct block_request *req = list->head;

	if (req)
		list->head = req->next;
	if (!list->head)
		list->tail = &list->head;
	return req;
}

/* For engines: the iovecs to transfer next, at req->offset; at most
 * BLOCK_TRANSFER_MAX bytes in all. */
struct iovec *block_request_next(struct block_request *req, unsigned *count);

/* For engines: the mode with which to fallocate() req->left bytes at
 * req->offset; 0 if the operation is not one for fallocate(). */
int block_request_fallocate_mode(const struct block_request *req);

/* For engines: takes the outcome of a transfer, bytes or -errno. Returns
 * whether the request is finished, with req->result set; if not, the engine has
 * to start the next transfer. */
bool block_request_step(struct block_request *req, ssize_t outcome,
			bool draining);

/* Gives a request a bounce buffer, aligned to align bytes, a power of two. 0 or
 * -ENOMEM. */
int block_request_bounce(struct block_request *req, size_t align);
