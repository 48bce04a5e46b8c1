#include "devices/block/block_threads.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/thread.h"
#include "base/wake.h"

struct request_list {
	struct block_request *head, **tail;
};

struct block_threads {
	struct block_engine engine;
	int fd;
	int event_fd;
	pthread_t worker;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t work;
	pthread_cond_t finished;
	struct request_list todo;
	struct request_list done;
	unsigned inflight;
	bool draining; /* the owner's wish, for the worker */
	bool stop;
};

static struct block_threads *from_engine(struct block_engine *engine)
{
	return container_of(engine, struct block_threads, engine);
}

static void list_init(struct request_list *list)
{
	list->head = NULL;
	list->tail = &list->head;
}

static void list_append(struct request_list *list, struct block_request *req)
{
	req->next = NULL;
	*list->tail = req;
	list->tail = &req->next;
}

static struct block_request *list_take(struct request_list *list)
{
	struct block_request *req = list->head;

	if (!req)
		return NULL;
	list->head = req->next;
	if (!list->head)
		list->tail = &list->head;
	return req;
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

static bool is_draining(struct block_threads *threads)
{
	bool draining;

	pthread_mutex_lock(&threads->lock);
	draining = threads->draining;
	pthread_mutex_unlock(&threads->lock);
	return draining;
}

static void *worker_main(void *arg)
{
	struct block_threads *threads = arg;

	pthread_mutex_lock(&threads->lock);
	for (;;) {
		struct block_request *req = list_take(&threads->todo);
		ssize_t outcome;

		if (!req) {
			if (threads->stop)
				break;
			pthread_cond_wait(&threads->work, &threads->lock);
			continue;
		}
		pthread_mutex_unlock(&threads->lock);
		do {
			outcome = transfer(threads->fd, req);
		} while (!block_request_step(req, outcome,
					     is_draining(threads)));
		pthread_mutex_lock(&threads->lock);
		list_append(&threads->done, req);
		pthread_cond_signal(&threads->finished);
		wake(threads->event_fd);
	}
	pthread_mutex_unlock(&threads->lock);
	return NULL;
}

/* --- the owner's side --- */

static void threads_queue(struct block_engine *engine,
			  struct block_request *req)
{
	struct block_threads *threads = from_engine(engine);

	pthread_mutex_lock(&threads->lock);
	list_append(&threads->todo, req);
	threads->inflight++;
	threads->draining = engine->draining;
	pthread_mutex_unlock(&threads->lock);
}

static void threads_submit(struct block_engine *engine)
{
	struct block_threads *threads = from_engine(engine);

	pthread_cond_signal(&threads->work);
}

static struct block_request *threads_reap(struct block_engine *engine,
					  bool wait)
{
	struct block_threads *threads = from_engine(engine);
	struct block_request *req;

	pthread_mutex_lock(&threads->lock);
	threads->draining = engine->draining;
	pthread_cond_signal(&threads->work);
	while (!(req = list_take(&threads->done)) && wait && threads->inflight)
		pthread_cond_wait(&threads->finished, &threads->lock);
	if (req)
		threads->inflight--;
	pthread_mutex_unlock(&threads->lock);
	return req;
}

static void threads_free(struct block_threads *threads)
{
	pthread_cond_destroy(&threads->finished);
	pthread_cond_destroy(&threads->work);
	pthread_mutex_destroy(&threads->lock);
	free(threads);
}

static void threads_destroy(struct block_engine *engine)
{
	struct block_threads *threads = from_engine(engine);

	pthread_mutex_lock(&threads->lock);
	threads->stop = true;
	pthread_cond_signal(&threads->work);
	pthread_mutex_unlock(&threads->lock);
	pthread_join(threads->worker, NULL);
	threads_free(threads);
}

static const struct block_engine_ops threads_ops = {
	.queue = threads_queue,
	.submit = threads_submit,
	.reap = threads_reap,
	.destroy = threads_destroy,
};

struct block_engine *
block_threads_create(const struct block_engine_config *config,
		     struct error *err)
{
	struct block_threads *threads = calloc(1, sizeof(*threads));
	int ret;

	if (!threads) {
		error_set(err, ERROR_IO, ENOMEM, "disk thread");
		return NULL;
	}
	threads->engine.ops = &threads_ops;
	threads->fd = config->fd;
	threads->event_fd = config->event_fd;
	list_init(&threads->todo);
	list_init(&threads->done);
	pthread_mutex_init(&threads->lock, NULL);
	pthread_cond_init(&threads->work, NULL);
	pthread_cond_init(&threads->finished, NULL);
	ret = thread_start(&threads->worker, "disk", worker_main, threads);
	if (ret) {
		error_set(err, ERROR_IO, ret, "disk thread");
		threads_free(threads);
		return NULL;
	}
	return &threads->engine;
}
