/* Block engine on a thread of its own, for hosts without io_uring. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/thread.h"
#include "base/wake.h"
#include "devices/block/block_engine.h"

struct block_thread {
	struct block_engine engine;
	int fd; /* changes only while the worker has no request */
	int event_fd;
	pthread_t worker;
	pthread_mutex_t lock; /* protects the lists and stop */
	pthread_cond_t work;
	pthread_cond_t finished;
	struct block_list todo;
	struct block_list done;
	bool stop;
};

static struct block_thread *from_engine(struct block_engine *engine)
{
	return container_of(engine, struct block_thread, engine);
}

/* --- the worker --- */

static ssize_t transfer(int fd, struct block_request *req)
{
	int mode = block_request_fallocate_mode(req);
	struct iovec *iov;
	unsigned count;
	ssize_t done;

	if (req->op == BLOCK_FLUSH) {
		done = fdatasync(fd);
	} else if (mode) {
		done = fallocate(fd, mode, (off_t)req->offset,
				 (off_t)req->left);
	} else {
		iov = block_request_next(req, &count);
		done = req->op == BLOCK_READ
			       ? preadv(fd, iov, (int)count, (off_t)req->offset)
			       : pwritev(fd, iov, (int)count,
					 (off_t)req->offset);
	}
	return done < 0 ? -errno : done;
}

static void *worker_main(void *arg)
{
	struct block_thread *thread = arg;

	pthread_mutex_lock(&thread->lock);
	for (;;) {
		struct block_request *req = block_list_take(&thread->todo);
		ssize_t outcome;

		if (!req) {
			if (thread->stop)
				break;
			pthread_cond_wait(&thread->work, &thread->lock);
			continue;
		}
		pthread_mutex_unlock(&thread->lock);
		do {
			outcome = transfer(thread->fd, req);
		} while (!block_request_step(req, outcome,
					     thread->engine.draining));
		pthread_mutex_lock(&thread->lock);
		block_list_append(&thread->done, req);
		pthread_cond_signal(&thread->finished);
		wake(thread->event_fd);
	}
	pthread_mutex_unlock(&thread->lock);
	return NULL;
}

/* --- the owner's side --- */

static void thread_queue(struct block_engine *engine, struct block_request *req)
{
	struct block_thread *thread = from_engine(engine);

	pthread_mutex_lock(&thread->lock);
	block_list_append(&thread->todo, req);
	pthread_mutex_unlock(&thread->lock);
}

static void thread_submit(struct block_engine *engine)
{
	struct block_thread *thread = from_engine(engine);

	pthread_cond_signal(&thread->work);
}

static struct block_request *thread_reap(struct block_engine *engine, bool wait)
{
	struct block_thread *thread = from_engine(engine);
	struct block_request *req;

	pthread_mutex_lock(&thread->lock);
	pthread_cond_signal(&thread->work);
	while (!(req = block_list_take(&thread->done)) && wait)
		pthread_cond_wait(&thread->finished, &thread->lock);
	pthread_mutex_unlock(&thread->lock);
	return req;
}

static int thread_set_file(struct block_engine *engine, int fd)
{
	from_engine(engine)->fd = fd;
	return 0;
}

static void thread_free(struct block_thread *thread)
{
	pthread_cond_destroy(&thread->finished);
	pthread_cond_destroy(&thread->work);
	pthread_mutex_destroy(&thread->lock);
	free(thread);
}

static void thread_destroy(struct block_engine *engine)
{
	struct block_thread *thread = from_engine(engine);

	pthread_mutex_lock(&thread->lock);
	thread->stop = true;
	pthread_cond_signal(&thread->work);
	pthread_mutex_unlock(&thread->lock);
	pthread_join(thread->worker, NULL);
	thread_free(thread);
}

static const struct block_engine_ops thread_ops = {
	.queue = thread_queue,
	.submit = thread_submit,
	.reap = thread_reap,
	.set_file = thread_set_file,
	.destroy = thread_destroy,
};

struct block_engine *
block_thread_create(const struct block_engine_options *options,
		    struct error *err)
{
	struct block_thread *thread = calloc(1, sizeof(*thread));
	int ret;

	if (!thread) {
		error_set(err, ERROR_IO, ENOMEM, "thread for disk I/O");
		return NULL;
	}
	thread->engine.ops = &thread_ops;
	thread->fd = options->fd;
	thread->event_fd = options->event_fd;
	block_list_init(&thread->todo);
	block_list_init(&thread->done);
	pthread_mutex_init(&thread->lock, NULL);
	pthread_cond_init(&thread->work, NULL);
	pthread_cond_init(&thread->finished, NULL);
	ret = thread_start(&thread->worker, "disk", worker_main, thread);
	if (ret) {
		error_set(err, ERROR_IO, ret, "thread for disk I/O");
		thread_free(thread);
		return NULL;
	}
	return &thread->engine;
}
