#include "devices/virtio/virtqueue.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/le_types.h"

/* virtio 1.2, 2.7.5: descriptor table entry */
struct virtq_desc {
	le64_t addr;
	le32_t len;
	le16_t flags;
	le16_t next;
};
static_assert(sizeof(struct virtq_desc) == 16, "virtio 1.2, 2.7.5");

#define DESC_F_NEXT 1
#define DESC_F_WRITE 2
#define DESC_F_INDIRECT 4

#define AVAIL_F_NO_INTERRUPT 1 /* 2.7.6 */
#define USED_F_NO_NOTIFY 1     /* 2.7.8 */

/* The avail ring as 16-bit words: flags, idx, ring[size], used_event. The
 * used ring: flags, idx, ring[size] of two 32-bit words, avail_event. */
#define RING_FLAGS 0
#define RING_IDX 1
#define RING_ENTRIES 2

static uint16_t load16(const uint16_t *word)
{
	return le16toh(__atomic_load_n(word, __ATOMIC_ACQUIRE));
}

static void store16(uint16_t *word, uint16_t value)
{
	__atomic_store_n(word, htole16(value), __ATOMIC_RELEASE);
}

static uint16_t *used_event(const struct virtqueue *vq)
{
	return &vq->avail[RING_ENTRIES + vq->state.size];
}

static uint16_t *avail_event(const struct virtqueue *vq)
{
	return &vq->used[RING_ENTRIES + 4 * vq->state.size];
}

void virtqueue_init(struct virtqueue *vq, uint16_t size_max)
{
	*vq = (struct virtqueue){ .size_max = size_max,
				  .state.size = size_max,
				  .batch = 1 };
}

int virtqueue_start(struct virtqueue *vq, const struct guest_mem *mem,
		    bool event_idx)
{
	const struct virtqueue_state *s = &vq->state;
	uint64_t size = s->size;

	vq->broken = true;
	if (!size || size > vq->size_max || (size & (size - 1)))
		return -EINVAL;
	if (s->desc % 16 || s->avail % 2 || s->used % 4)
		return -EINVAL;
	vq->desc = guest_range(mem, s->desc, 16 * size);
	vq->avail = guest_range(mem, s->avail, 6 + 2 * size);
	vq->used = guest_range(mem, s->used, 6 + 8 * size);
	if (!vq->desc || !vq->avail || !vq->used) {
		vq->desc = NULL;
		vq->avail = NULL;
		vq->used = NULL;
		return -EINVAL;
	}
	vq->mem = mem;
	vq->event_idx = event_idx;
	vq->broken = false;
	return 0;
}

/* Appends one buffer. Host-adjacent neighbours of the same direction become
 * one iovec. */
static int chain_append(struct chain *chain, const struct guest_mem *mem,
			const struct virtq_desc *desc)
{
	unsigned count = chain->out_count + chain->in_count;
	bool write = le16_get(desc->flags) & DESC_F_WRITE;
	uint32_t len = le32_get(desc->len);
	uint8_t *host;

	if (!write && chain->in_count)
		return -EPROTO; /* 2.7.4.2: readable ones come first */
	if (!len)
		return 0;
	host = guest_range(mem, le64_get(desc->addr), len);
	if (!host)
		return -EPROTO;
	if (count && write == (chain->in_count > 0)) {
		struct iovec *last = &chain->iov[count - 1];

		if ((uint8_t *)last->iov_base + last->iov_len == host) {
			last->iov_len += len;
			return 0;
		}
	}
	if (count == CHAIN_IOV_MAX)
		return -EPROTO;
	chain->iov[count] = (struct iovec){ .iov_base = host, .iov_len = len };
	if (write)
		chain->in_count++;
	else
		chain->out_count++;
	return 0;
}

/* The most descriptors of one table. 2.7.5.3.1 allows no chain to be longer
 * than the queue, but drivers fill indirect tables up to the device's own
 * limits (seg_max of a disk), however short the queue is. */
static uint32_t steps_max(const struct virtqueue *vq, bool indirect)
{
	uint32_t size = vq->state.size;

	return indirect && size < CHAIN_IOV_MAX ? CHAIN_IOV_MAX : size;
}

/* Walks from table[index]. */
static int chain_walk(struct virtqueue *vq, struct chain *chain,
		      const struct virtq_desc *table, uint32_t entries,
		      uint16_t index, bool indirect)
{
	uint32_t max = steps_max(vq, indirect);

	for (uint32_t steps = 0; steps < max; steps++) {
		struct virtq_desc desc;
		uint16_t flags;
		int ret;

		if (index >= entries)
			return -EPROTO;
		memcpy(&desc, &table[index], sizeof(desc));
		flags = le16_get(desc.flags);
		if (flags & DESC_F_INDIRECT) {
			uint32_t len = le32_get(desc.len);

			/* 2.7.5.3: not nested, not together with NEXT, and
			 * whole descriptors */
			if (indirect || (flags & DESC_F_NEXT) || !len ||
			    len % sizeof(desc))
				return -EPROTO;
			table = guest_range(vq->mem, le64_get(desc.addr), len);
			if (!table)
				return -EPROTO;
			return chain_walk(vq, chain, table,
					  len / (uint32_t)sizeof(desc), 0,
					  true);
		}
		ret = chain_append(chain, vq->mem, &desc);
		if (ret)
			return ret;
		if (!(flags & DESC_F_NEXT))
			return 0;
		index = le16_get(desc.next);
	}
	return -EPROTO; /* longer than can be: a loop */
}

uint16_t virtqueue_avail_idx(const struct virtqueue *vq)
{
	return load16(&vq->avail[RING_IDX]);
}

uint16_t virtqueue_used_idx(const struct virtqueue *vq)
{
	return load16(&vq->used[RING_IDX]);
}

uint16_t virtqueue_avail_head(const struct virtqueue *vq, uint16_t at)
{
	return load16(&vq->avail[RING_ENTRIES + (at & (vq->state.size - 1))]);
}

uint32_t virtqueue_used_head(const struct virtqueue *vq, uint16_t at)
{
	le32_t head;

	memcpy(&head, &vq->used[RING_ENTRIES + 4 * (at & (vq->state.size - 1))],
	       sizeof(head));
	return le32_get(head);
}

void virtqueue_seek(struct virtqueue *vq, uint16_t next_avail,
		    uint16_t next_used)
{
	vq->state.next_avail = next_avail;
	vq->state.next_used = next_used;
	vq->state.last_interrupt = next_used;
}

int virtqueue_fetch(struct virtqueue *vq, uint16_t head, struct chain *chain)
{
	chain->head = head;
	chain->out_count = 0;
	chain->in_count = 0;
	if (vq->broken || !vq->avail ||
	    chain_walk(vq, chain, vq->desc, vq->state.size, head, false)) {
		vq->broken = true;
		return -EPROTO;
	}
	return 0;
}

/* How many entries the driver says are new: any number. */
static uint16_t count_new(const struct virtqueue *vq)
{
	return (uint16_t)(virtqueue_avail_idx(vq) - vq->state.next_avail);
}

int virtqueue_pop(struct virtqueue *vq, struct chain *chain)
{
	struct virtqueue_state *s = &vq->state;
	uint16_t waiting;

	if (vq->broken || !vq->avail)
		return -EPROTO;
	waiting = count_new(vq);
	if (!waiting)
		return 0;
	if (waiting > s->size) {
		vq->broken = true;
		return -EPROTO;
	}
	if (virtqueue_fetch(vq, virtqueue_avail_head(vq, s->next_avail), chain))
		return -EPROTO;
	s->next_avail++;
	return 1;
}

uint16_t virtqueue_waiting(const struct virtqueue *vq)
{
	uint16_t waiting;

	if (vq->broken || !vq->avail)
		return 0;
	waiting = count_new(vq);
	return waiting < vq->state.size ? waiting : vq->state.size;
}

void virtqueue_unpop(struct virtqueue *vq)
{
	vq->state.next_avail--;
}

void virtqueue_put(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	struct virtqueue_state *s = &vq->state;
	uint16_t *entry =
		&vq->used[RING_ENTRIES + 4 * (s->next_used & (s->size - 1))];
	le32_t element[2] = { le32(head), le32(written) };

	memcpy(entry, element, sizeof(element));
	s->next_used++;
}

void virtqueue_publish(struct virtqueue *vq)
{
	store16(&vq->used[RING_IDX], vq->state.next_used);
}

void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	virtqueue_put(vq, head, written);
	virtqueue_publish(vq);
}

bool virtqueue_needs_interrupt(struct virtqueue *vq)
{
	struct virtqueue_state *s = &vq->state;
	uint16_t pushed = (uint16_t)(s->next_used - s->last_interrupt);

	if (!pushed || !vq->avail)
		return false;
	/* No more than a ring can be news to the driver. Without this a driver
	 * that polls would bring the difference around to zero. */
	if (pushed > s->size) {
		pushed = s->size;
		s->last_interrupt = (uint16_t)(s->next_used - pushed);
	}
	/* the used index must be visible before the driver's wish is read */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (vq->event_idx) {
		/* 2.7.10: tell when used_event lies in what was pushed */
		uint16_t past =
			(uint16_t)(s->next_used - load16(used_event(vq)) - 1);
		if (past >= pushed)
			return false;
	} else if (load16(&vq->avail[RING_FLAGS]) & AVAIL_F_NO_INTERRUPT) {
		return false;
	}
	s->last_interrupt = s->next_used;
	return true;
}

void virtqueue_kicks_disable(struct virtqueue *vq)
{
	/* with EVENT_IDX a stale avail_event already keeps the driver quiet */
	if (vq->used && !vq->event_idx)
		store16(&vq->used[RING_FLAGS], USED_F_NO_NOTIFY);
}

bool virtqueue_kicks_enable(struct virtqueue *vq)
{
	if (!vq->used || vq->broken)
		return false;
	if (vq->event_idx)
		store16(avail_event(vq),
			(uint16_t)(vq->state.next_avail + vq->batch - 1));
	else
		store16(&vq->used[RING_FLAGS], 0);
	/* the wish must be visible before the index is looked at again */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return count_new(vq) >= vq->batch;
}
