#include <errno.h>
#include <string.h>

#include "base/le_types.h"
#include "base/log.h"
#include "devices/virtio_balloon_device.h"

/* What a call of discard() costs; and so many listed pages cost 1. */
#define CALL_COST 16
#define LISTED_PER_COST 8

/* The most of a chain that is served before the turn may end. */
#define PFNS_MAX 256
#define REPORTED_MAX (4ULL << 20)

/* Returns what it cost. */
static unsigned give_back(struct balloon *balloon, uint8_t *host, uint64_t len)
{
	int ret = balloon->discard(balloon->ctx, host, len);

	if (ret)
		log_guest(LOG_WARN, "balloon: memory is not given back: %s",
			  strerror(-ret));
	return CALL_COST + (unsigned)(len >> PAGE_SHIFT);
}

/* Pops the next chain into an idle request, and returns what virtqueue_pop()
 * returns. The chain is broken if its buffers are not all readable or all
 * writable, or do not hold whole units. */
static int request_pop(struct balloon_request *request, struct virtqueue *vq,
		       bool writable, size_t unit)
{
	struct chain *chain = &request->chain;
	unsigned count;
	int ret = virtqueue_pop(vq, chain);

	if (ret <= 0)
		return ret;
	count = writable ? chain->in_count : chain->out_count;
	request->left = iov_length(chain->iov, count);
	request->cursor = iov_cursor(chain->iov, count);
	if (count != chain->in_count + chain->out_count ||
	    request->left % unit) {
		virtqueue_push(vq, chain->head, 0);
		return -EPROTO;
	}
	request->busy = true;
	return 1;
}

/* len more bytes of the chain were served. */
static void request_advance(struct balloon_request *request,
			    struct virtqueue *vq, size_t len)
{
	request->left -= len;
	if (request->left)
		return;
	virtqueue_push(vq, request->chain.head, 0);
	request->busy = false;
}

void balloon_request_give_back(struct balloon_request *request,
			       struct virtqueue *vq)
{
	if (request->busy)
		virtqueue_unpop(vq);
	request->busy = false;
}

/* Pages that lie side by side are given back together. A driver that fills the
 * balloon in one go lists pages upwards or downwards. */
struct run {
	uint8_t *start, *end;
};

static unsigned run_end(struct balloon *balloon, struct run *run)
{
	if (run->start == run->end)
		return 0;
	return give_back(balloon, run->start,
			 (uint64_t)(run->end - run->start));
}

static unsigned run_add(struct balloon *balloon, struct run *run, uint32_t pfn)
{
	uint8_t *page = guest_range(balloon->dev.mem,
				    (uint64_t)pfn << PAGE_SHIFT, PAGE_SIZE);
	unsigned cost = 0;

	if (!page) {
		log_guest(LOG_WARN, "balloon: page %#x is not guest memory",
			  pfn);
	} else if (page == run->end) {
		run->end += PAGE_SIZE;
	} else if (page + PAGE_SIZE == run->start) {
		run->start = page;
	} else if (page < run->start || page > run->end) {
		cost = run_end(balloon, run);
		*run = (struct run){ page, page + PAGE_SIZE };
	}
	return cost;
}

int balloon_inflate_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct balloon *balloon = balloon_from_dev(dev);
	struct balloon_request *request = &balloon->inflate;
	struct run run = { NULL, NULL };
	le32_t pfns[PFNS_MAX];
	unsigned cost, count;

	if (!request->busy) {
		int ret = request_pop(request, vq, false, sizeof(pfns[0]));

		if (ret <= 0)
			return ret;
	}
	count = (unsigned)(iov_read(&request->cursor, pfns, sizeof(pfns)) /
			   sizeof(pfns[0]));
	cost = BALLOON_CHAIN_COST + count / LISTED_PER_COST;
	for (unsigned i = 0; i < count; i++)
		cost += run_add(balloon, &run, le32_get(pfns[i]));
	cost += run_end(balloon, &run);
	request_advance(request, vq, count * sizeof(pfns[0]));
	return (int)cost;
}

/* Nothing is to be done for pages that leave the balloon. */
int balloon_deflate_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct chain chain;
	int ret = virtqueue_pop(vq, &chain);

	(void)dev;
	if (ret <= 0)
		return ret;
	virtqueue_push(vq, chain.head, 0);
	return BALLOON_CHAIN_COST;
}

/* Whether free pages must keep the pattern that the driver has filled them with
 * (5.5.6.7.2). Discarded pages read as zeros. */
static bool keeps_poison(const struct balloon *balloon)
{
	return virtio_has_feature(&balloon->dev,
				  VIRTIO_BALLOON_F_PAGE_POISON) &&
	       balloon->state.config.poison_val != 0;
}

int balloon_report_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct balloon *balloon = balloon_from_dev(dev);
	struct balloon_request *request = &balloon->report;
	unsigned cost = BALLOON_CHAIN_COST;
	struct iovec piece;

	if (!request->busy) {
		int ret = request_pop(request, vq, true, 1);

		if (ret <= 0)
			return ret;
	}
	piece = iov_next(&request->cursor, REPORTED_MAX);
	if (piece.iov_len && !keeps_poison(balloon))
		cost += give_back(balloon, piece.iov_base, piece.iov_len);
	request_advance(request, vq, piece.iov_len);
	return (int)cost;
}
