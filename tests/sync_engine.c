#include "tests/sync_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/container_of.h"

bool sync_engine_hold;
size_t sync_engine_short;
unsigned sync_engine_flushes;
int sync_engine_fallocate_error;
unsigned sync_engine_fallocates;
int sync_engine_set_file_error;

struct sync_engine {
	struct block_engine engine;
	struct block_engine_options options;
	struct block_list todo;
};

static struct sync_engine *from_engine(struct block_engine *engine)
{
	return container_of(engine, struct sync_engine, engine);
}

static void sync_queue(struct block_engine *engine, struct block_request *req)
{
	block_list_append(&from_engine(engine)->todo, req);
}

static void sync_submit(struct block_engine *engine)
{
	struct sync_engine *sync = from_engine(engine);
	uint64_t one = 1;

	if (write(sync->options.event_fd, &one, sizeof(one)) < 0)
		abort();
}

static ssize_t transfer(int fd, struct block_request *req)
{
	int mode = block_request_fallocate_mode(req);
	struct iovec *iov, first;
	unsigned count;
	ssize_t done;

	if (req->op == BLOCK_FLUSH) {
		sync_engine_flushes++;
		return fdatasync(fd) ? -errno : 0;
	}
	if (mode) {
		sync_engine_fallocates++;
		if (sync_engine_fallocate_error)
			return -sync_engine_fallocate_error;
		return fallocate(fd, mode, (off_t)req->offset, (off_t)req->left)
			       ? -errno
			       : 0;
	}
	iov = block_request_next(req, &count);
	if (sync_engine_short) {
		first = iov[0];
		if (first.iov_len > sync_engine_short)
			first.iov_len = sync_engine_short;
		iov = &first;
		count = 1;
	}
	done = req->op == BLOCK_READ
		       ? preadv(fd, iov, (int)count, (off_t)req->offset)
		       : pwritev(fd, iov, (int)count, (off_t)req->offset);
	return done < 0 ? -errno : done;
}

static struct block_request *sync_reap(struct block_engine *engine, bool wait)
{
	struct sync_engine *sync = from_engine(engine);
	struct block_request *req;
	ssize_t outcome;

	if (sync_engine_hold && !wait)
		return NULL;
	req = block_list_take(&sync->todo);
	do {
		outcome = transfer(sync->options.fd, req);
	} while (!block_request_step(req, outcome, engine->draining));
	return req;
}

static int sync_set_file(struct block_engine *engine, int fd)
{
	if (sync_engine_set_file_error)
		return -sync_engine_set_file_error;
	from_engine(engine)->options.fd = fd;
	return 0;
}

static void sync_destroy(struct block_engine *engine)
{
	free(from_engine(engine));
}

static const struct block_engine_ops ops = {
	.queue = sync_queue,
	.submit = sync_submit,
	.reap = sync_reap,
	.set_file = sync_set_file,
	.destroy = sync_destroy,
};

struct block_engine *
sync_engine_create(const struct block_engine_options *options,
		   struct error *err)
{
	struct sync_engine *sync = calloc(1, sizeof(*sync));

	(void)err;
	if (!sync)
		abort();
	sync->engine.ops = &ops;
	sync->options = *options;
	block_list_init(&sync->todo);
	return &sync->engine;
}
