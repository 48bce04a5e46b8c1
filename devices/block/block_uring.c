/* Block engine on io_uring; the only user of liburing.
 *
 * The ring is restricted (IORING_REGISTER_RESTRICTIONS): it can do readv,
 * writev, fsync and fallocate on its registered file, and take another file in
 * that one's place. It can do nothing else, whoever gets hold of it. No kernel
 * thread polls it.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/container_of.h"
#include "base/iov.h"
#include "base/wake.h"
#include "devices/block/block_engine.h"

#define SQ_ENTRIES 32 /* one batch; completions have room for options.max */

/* The system call copies whatever is in the page cache. Once it was given this
 * many bytes, no more is started before the owner comes back. */
#define TURN_BYTES (4u << 20)

/* The ring's table of files: one for requests, and a place where another one is
 * registered before it takes over. So a ring always has a file. */
#define FILES 2

struct block_uring {
	struct block_engine engine;
	struct io_uring ring;
	int file; /* index of the requests' file */
	size_t turn_bytes;
	int event_fd;
	/* queued requests that found the submission queue or the turn full */
	struct block_list waiting;
};

static struct block_uring *from_engine(struct block_engine *engine)
{
	return container_of(engine, struct block_uring, engine);
}

static bool prepare(struct block_uring *uring, struct block_request *req)
{
	struct io_uring_sqe *sqe;
	int mode = block_request_fallocate_mode(req);
	struct iovec *iov = NULL;
	unsigned count = 0;

	if (uring->turn_bytes >= TURN_BYTES)
		return false;
	sqe = io_uring_get_sqe(&uring->ring);
	if (!sqe)
		return false;
	if (req->op != BLOCK_FLUSH && !mode)
		iov = block_request_next(req, &count);
	switch (req->op) {
	case BLOCK_READ:
		io_uring_prep_readv(sqe, uring->file, iov, count, req->offset);
		break;
	case BLOCK_WRITE:
	case BLOCK_WRITE_ZEROES:
		io_uring_prep_writev(sqe, uring->file, iov, count, req->offset);
		break;
	case BLOCK_FLUSH:
		io_uring_prep_fsync(sqe, uring->file, IORING_FSYNC_DATASYNC);
		break;
	case BLOCK_PUNCH:
	case BLOCK_ZERO:
		io_uring_prep_fallocate(sqe, uring->file, mode,
					(off_t)req->offset, (off_t)req->left);
		break;
	}
	uring->turn_bytes += iov_length(iov, count);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, req);
	return true;
}

/* Hands the submission queue to the kernel. False when the kernel cannot take
 * it now. */
static bool push_queue(struct block_uring *uring)
{
	while (io_uring_sq_ready(&uring->ring)) {
		int ret = io_uring_submit(&uring->ring);

		if (ret == -EINTR)
			continue;
		if (ret < 0)
			return false;
	}
	return true;
}

/* Moves waiting requests into the submission queue, in order, for one turn. */
static void uring_submit(struct block_engine *engine)
{
	struct block_uring *uring = from_engine(engine);

	while (push_queue(uring) && uring->waiting.head &&
	       uring->turn_bytes < TURN_BYTES) {
		while (uring->waiting.head &&
		       prepare(uring, uring->waiting.head))
			block_list_take(&uring->waiting);
	}
	if (!io_uring_sq_ready(&uring->ring))
		uring->turn_bytes = 0;
	/* The turn is over, or the kernel is out of memory for now (EAGAIN,
	 * EBUSY): have the owner come back, as if something had finished. */
	if (io_uring_sq_ready(&uring->ring) || uring->waiting.head)
		wake(uring->event_fd);
}

static void uring_queue(struct block_engine *engine, struct block_request *req)
{
	struct block_uring *uring = from_engine(engine);

	if (uring->waiting.head || !prepare(uring, req))
		block_list_append(&uring->waiting, req);
}

/* Takes one completion off the ring; NULL when there is none. */
static struct block_request *next_completion(struct block_uring *uring,
					     ssize_t *outcome)
{
	struct block_request *req;
	struct io_uring_cqe *cqe;

	if (io_uring_peek_cqe(&uring->ring, &cqe))
		return NULL;
	req = io_uring_cqe_get_data(cqe);
	*outcome = cqe->res;
	io_uring_cqe_seen(&uring->ring, cqe);
	return req;
}

static struct block_request *uring_reap(struct block_engine *engine, bool wait)
{
	struct block_uring *uring = from_engine(engine);
	struct block_request *req;
	ssize_t outcome;

	for (;;) {
		while ((req = next_completion(uring, &outcome))) {
			if (block_request_step(req, outcome, engine->draining))
				return req;
			uring_queue(engine, req);
		}
		if (io_uring_sq_ready(&uring->ring) || uring->waiting.head)
			uring_submit(engine);
		if (!wait)
			return NULL;
		/* This waits only once the kernel has taken the whole queue:
		 * if it has taken nothing, nothing would end the wait. After
		 * EINTR or a spurious wake-up, the loop looks again. */
		io_uring_submit_and_wait(&uring->ring, 1);
	}
}

/* The new file gets the other place in the table, because an update that fails
 * may have emptied its place already. If the kernel cannot drop the old file
 * now, it does so at the next exchange or with the ring. */
static int uring_set_file(struct block_engine *engine, int fd)
{
	struct block_uring *uring = from_engine(engine);
	int next = (uring->file + 1) % FILES;
	const int none = -1;
	int ret = io_uring_register_files_update(&uring->ring, (unsigned)next,
						 &fd, 1);

	if (ret < 0)
		return ret;
	io_uring_register_files_update(&uring->ring, (unsigned)uring->file,
				       &none, 1);
	uring->file = next;
	return 0;
}

static void uring_destroy(struct block_engine *engine)
{
	struct block_uring *uring = from_engine(engine);

	io_uring_queue_exit(&uring->ring);
	free(uring);
}

static const struct block_engine_ops uring_ops = {
	.queue = uring_queue,
	.submit = uring_submit,
	.reap = uring_reap,
	.set_file = uring_set_file,
	.destroy = uring_destroy,
};

/* liburing 2.3 does not export its wrappers for these two. */
static int ring_register(struct io_uring *ring, unsigned opcode, void *arg,
			 unsigned count)
{
	long ret = syscall(__NR_io_uring_register, ring->ring_fd, opcode, arg,
			   count);

	return ret < 0 ? -errno : 0;
}

/* All other registration comes before the restrictions, which allow none but of
 * files. The ring takes no request before it is enabled. */
static int restrict_ring(struct io_uring *ring,
			 const struct block_engine_options *options)
{
	const int files[FILES] = { options->fd, -1 };
	struct io_uring_restriction allowed[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP,
		  .sqe_op = IORING_OP_READV },
		{ .opcode = IORING_RESTRICTION_SQE_OP,
		  .sqe_op = IORING_OP_WRITEV },
		{ .opcode = IORING_RESTRICTION_SQE_OP,
		  .sqe_op = IORING_OP_FSYNC },
		{ .opcode = IORING_RESTRICTION_SQE_OP,
		  .sqe_op = IORING_OP_FALLOCATE },
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED,
		  .sqe_flags = IOSQE_FIXED_FILE },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_REGISTER_FILES_UPDATE },
	};
	int ret = io_uring_register_files(ring, files, FILES);

	if (ret == 0)
		ret = io_uring_register_eventfd(ring, options->event_fd);
	if (ret == 0)
		ret = ring_register(ring, IORING_REGISTER_RESTRICTIONS, allowed,
				    ARRAY_SIZE(allowed));
	if (ret == 0)
		ret = ring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL,
				    0);
	return ret;
}

struct block_engine *
block_uring_create(const struct block_engine_options *options,
		   struct error *err)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
		.cq_entries = options->max < SQ_ENTRIES ? SQ_ENTRIES
							: options->max,
	};
	struct block_uring *uring = calloc(1, sizeof(*uring));
	int ret;

	if (!uring) {
		error_set(err, ERROR_IO, ENOMEM, "io_uring");
		return NULL;
	}
	ret = io_uring_queue_init_params(SQ_ENTRIES, &uring->ring, &params);
	if (ret) {
		error_set(err, ERROR_IO, -ret, "io_uring");
		free(uring);
		return NULL;
	}
	ret = restrict_ring(&uring->ring, options);
	if (ret) {
		error_set(err, ERROR_IO, -ret, "io_uring: restrictions");
		uring_destroy(&uring->engine);
		return NULL;
	}
	uring->engine.ops = &uring_ops;
	uring->event_fd = options->event_fd;
	block_list_init(&uring->waiting);
	return &uring->engine;
}
