#include "devices/block/block_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/iov.h"
#include "base/log.h"
#include "base/wake.h"

/* Bytes of a bounce buffer, and so of one transfer through it. Small, because
 * the guest decides how many requests need one. */
#define BOUNCE_SIZE 16384

/* Nobody writes to it, so all of its pages are the kernel's one page of zeroes.
 * Aligned for O_DIRECT. */
static uint8_t zeroes[BLOCK_TRANSFER_MAX] __attribute__((aligned(4096)));

struct block_engine *
block_engine_create(const struct block_engine_options *options,
		    struct error *err)
{
	struct error why;
	struct block_engine *engine = block_uring_create(options, &why);

	if (engine)
		return engine;
	log_info("%s; disk I/O uses a thread", why.text);
	return block_thread_create(options, err);
}

struct block_engine *block_engine_open(block_engine_create_fn *create,
				       struct block_engine_options options,
				       struct event_loop *loop,
				       struct event_source *completions,
				       struct error *err)
{
	int ret;

	options.event_fd = completions->fd = wake_open();
	ret = completions->fd < 0 ? -errno
				  : event_loop_add(loop, completions, EPOLLIN);
	if (ret) {
		error_set(err, ERROR_IO, -ret, "disk I/O");
		return NULL;
	}
	return (create ? create : block_engine_create)(&options, err);
}

void block_engine_close(struct block_engine *engine, struct event_loop *loop,
			struct event_source *completions)
{
	if (engine)
		engine->ops->destroy(engine);
	event_loop_remove(loop, completions);
	cleanup_close(&completions->fd);
}

void block_engine_queue(struct block_engine *engine, struct block_request *req)
{
	engine->inflight++;
	engine->queued = true;
	engine->ops->queue(engine, req);
}

void block_engine_submit(struct block_engine *engine)
{
	if (engine->queued)
		engine->ops->submit(engine);
	engine->queued = false;
}

struct block_request *block_engine_reap(struct block_engine *engine, bool wait)
{
	struct block_request *req = NULL;

	if (engine->inflight)
		req = engine->ops->reap(engine, wait);
	if (req)
		engine->inflight--;
	return req;
}

int block_engine_set_file(struct block_engine *engine, int fd)
{
	return engine->inflight ? -EBUSY : engine->ops->set_file(engine, fd);
}

static void advance(struct block_request *req, size_t bytes)
{
	req->offset += bytes;
	req->left -= bytes;
	while (req->iov_count && bytes >= req->iov->iov_len) {
		bytes -= req->iov->iov_len;
		req->iov++;
		req->iov_count--;
	}
	if (bytes && req->iov_count) {
		req->iov->iov_base = (char *)req->iov->iov_base + bytes;
		req->iov->iov_len -= bytes;
	}
}

static bool finish(struct block_request *req, int result)
{
	req->result = result;
	return true;
}

static bool cut(struct block_request *req)
{
	req->cut = true;
	return finish(req, -ECANCELED);
}

static struct iovec *one_piece(struct block_request *req, void *base,
			       size_t max, unsigned *count)
{
	req->piece.iov_base = base;
	req->piece.iov_len = req->left < max ? req->left : max;
	*count = 1;
	return &req->piece;
}

/* Takes whole iovecs while they fit, so that the list need not be copied, and
 * else the front of the first. Its length is a multiple of every alignment that
 * O_DIRECT may ask for. */
static struct iovec *bounded_iov(struct block_request *req, unsigned *count)
{
	size_t bytes = 0;
	unsigned n = 0;

	while (n < req->iov_count &&
	       req->iov[n].iov_len <= BLOCK_TRANSFER_MAX - bytes)
		bytes += req->iov[n++].iov_len;
	if (!n)
		return one_piece(req, req->iov->iov_base, BLOCK_TRANSFER_MAX,
				 count);
	*count = n;
	return req->iov;
}

struct iovec *block_request_next(struct block_request *req, unsigned *count)
{
	struct iov_cursor cursor = iov_cursor(req->iov, req->iov_count);
	struct iovec *piece;

	if (req->op == BLOCK_WRITE_ZEROES)
		return one_piece(req, zeroes, sizeof(zeroes), count);
	if (!req->bounce)
		return bounded_iov(req, count);
	piece = one_piece(req, req->bounce, BOUNCE_SIZE, count);
	if (req->op == BLOCK_WRITE)
		iov_read(&cursor, req->bounce, piece->iov_len);
	return piece;
}

int block_request_fallocate_mode(const struct block_request *req)
{
	switch (req->op) {
	case BLOCK_PUNCH:
		return FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	case BLOCK_ZERO:
		return FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
	default:
		return 0;
	}
}

bool block_request_step(struct block_request *req, ssize_t outcome,
			bool draining)
{
	struct iov_cursor cursor = iov_cursor(req->iov, req->iov_count);

	req->cut = false;
	if (outcome == -EINTR || outcome == -EAGAIN)
		return draining && cut(req);
	if (outcome < 0)
		return finish(req, (int)outcome);
	if (req->op == BLOCK_FLUSH || block_request_fallocate_mode(req))
		return finish(req, 0);
	if (outcome == 0 || (size_t)outcome > req->left)
		return finish(req, -EIO); /* the file has become shorter */
	if (req->bounce && req->op == BLOCK_READ)
		iov_write(&cursor, req->bounce, (size_t)outcome);
	advance(req, (size_t)outcome);
	if (!req->left)
		return finish(req, 0);
	return draining && cut(req);
}

bool block_try_now(int fd, struct block_request *req, bool in_memory,
		   bool *unsupported)
{
	const struct iovec *iov = req->iov;
	int count = (int)req->iov_count, flags = in_memory ? 0 : RWF_NOWAIT;
	off_t offset = (off_t)req->offset;
	bool plain = count == 1 && !flags; /* a cheaper system call */
	ssize_t done;

	if (req->op == BLOCK_READ)
		done = plain ? pread(fd, iov->iov_base, iov->iov_len, offset)
			     : preadv2(fd, iov, count, offset, flags);
	else
		done = plain ? pwrite(fd, iov->iov_base, iov->iov_len, offset)
			     : pwritev2(fd, iov, count, offset, flags);
	if (done > 0)
		return block_request_step(req, done, false);
	/* The engine meets any other error again, and reports it. */
	*unsupported = done < 0 && (errno == EOPNOTSUPP || errno == EINVAL);
	return false;
}

int block_request_bounce(struct block_request *req, size_t align)
{
	if (align < sizeof(void *))
		align = sizeof(void *);
	return -posix_memalign(&req->bounce, align, BOUNCE_SIZE);
}
