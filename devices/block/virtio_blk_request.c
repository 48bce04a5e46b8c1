#include "devices/block/virtio_blk_request.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <sys/mman.h>

#include "base/iov.h"

typedef struct virtio_blk_discard_write_zeroes range_header;

#define SLOTS_BYTES (BLK_SLOTS_MAX * sizeof(struct blk_request))

/* In a mapping of their own, whose untouched pages cost nothing. */
int blk_slots_init(struct blk_slots *pool)
{
	void *slots = mmap(NULL, SLOTS_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (slots == MAP_FAILED)
		return -ENOMEM;
	*pool = (struct blk_slots){ .slots = slots };
	return 0;
}

void blk_slots_destroy(struct blk_slots *pool)
{
	if (pool->slots)
		munmap(pool->slots, SLOTS_BYTES);
	pool->slots = NULL;
}

struct blk_request *blk_slots_get(struct blk_slots *pool)
{
	if (pool->free_count)
		return &pool->slots[pool->free[--pool->free_count]];
	if (pool->fresh < BLK_SLOTS_MAX)
		return &pool->slots[pool->fresh++];
	return NULL;
}

void blk_slots_put(struct blk_slots *pool, struct blk_request *req)
{
	pool->free[pool->free_count++] = (uint16_t)(req - pool->slots);
}

bool blk_request_take_status(struct blk_request *req)
{
	struct chain *chain = &req->chain;
	struct iovec *last;

	if (!chain->in_count)
		return false;
	last = &chain->iov[chain->out_count + chain->in_count - 1];
	last->iov_len--;
	req->status = (uint8_t *)last->iov_base + last->iov_len;
	if (!last->iov_len)
		chain->in_count--;
	return true;
}

bool blk_request_take_header(struct blk_request *req, struct blk_header *header)
{
	struct chain *chain = &req->chain;
	struct iov_cursor cursor = iov_cursor(chain->iov, chain->out_count);

	if (iov_read(&cursor, header, sizeof(*header)) != sizeof(*header))
		return false;
	req->io.iov = &chain->iov[chain->out_count - cursor.count];
	req->io.iov_count = cursor.count;
	req->io.iov->iov_base = (char *)req->io.iov->iov_base + cursor.offset;
	req->io.iov->iov_len -= cursor.offset;
	if (!req->io.iov->iov_len) {
		req->io.iov++;
		req->io.iov_count--;
	}
	return true;
}

bool blk_request_take_ranges(struct blk_request *req)
{
	struct iov_cursor cursor = iov_cursor(req->io.iov, req->io.iov_count);
	size_t len = iov_length(req->io.iov, req->io.iov_count);
	range_header header;

	if (!len || len % sizeof(header) ||
	    len / sizeof(header) > BLK_RANGES_MAX)
		return false;
	req->range = 0;
	req->range_count = (uint8_t)(len / sizeof(header));
	for (unsigned i = 0; i < req->range_count; i++) {
		iov_read(&cursor, &header, sizeof(header));
		req->ranges[i] = (struct blk_range){
			.sector = le64toh(header.sector),
			.sectors = le32toh(header.num_sectors),
			.flags = le32toh(header.flags),
		};
	}
	return true;
}

void blk_request_set_data(struct blk_request *req, bool guest_reads)
{
	if (guest_reads) {
		req->io.iov = &req->chain.iov[req->chain.out_count];
		req->io.iov_count = req->chain.in_count;
	}
	req->io.left = iov_length(req->io.iov, req->io.iov_count);
}
