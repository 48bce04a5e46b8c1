#include "devices/vhost_user/ring_watch.h"

void ring_watch_reset(struct ring_watch *watch, uint16_t avail, uint16_t used)
{
	*watch = (struct ring_watch){ .avail = avail, .used = used };
}

static void give(struct ring_watch *watch, uint32_t head)
{
	/* It may come several times: the avail ring is read to its end before
	 * the used ring, which has the ends in between. */
	if (head < RING_WATCH_MAX && watch->given[head] < UINT8_MAX)
		watch->given[head]++;
	else
		watch->lost = true;
}

static void use(struct ring_watch *watch, uint32_t head)
{
	if (head < RING_WATCH_MAX && watch->given[head] > 0)
		watch->given[head]--;
	else
		watch->lost = true;
}

/* How many entries a ring has got. If they are more than its size, some were
 * reused before they could be read. */
static uint16_t distance(struct ring_watch *watch, uint16_t size, uint16_t from,
			 uint16_t to)
{
	if ((uint16_t)(to - from) > size)
		watch->lost = true;
	return (uint16_t)(to - from);
}

/* The used index is read before the avail index. So each request that is read
 * as ended is read as given, too. */
void ring_watch_update(struct ring_watch *watch, const struct virtqueue *vq)
{
	const uint16_t size = vq->state.size;
	uint16_t used = virtqueue_used_idx(vq);
	uint16_t avail = virtqueue_avail_idx(vq);
	uint16_t given = distance(watch, size, watch->avail, avail);
	uint16_t ended = distance(watch, size, watch->used, used);

	for (uint16_t i = 0; !watch->lost && i < given; i++)
		give(watch, virtqueue_avail_head(vq, watch->avail + i));
	for (uint16_t i = 0; !watch->lost && i < ended; i++)
		use(watch, virtqueue_used_head(vq, watch->used + i));
	/* entries may have been reused while they were read */
	distance(watch, size, watch->avail, virtqueue_avail_idx(vq));
	distance(watch, size, watch->used, virtqueue_used_idx(vq));
	if (avail == used)
		ring_watch_reset(watch, avail, used);
	watch->avail = avail;
	watch->used = used;
}

bool ring_watch_is_exact(const struct ring_watch *watch)
{
	unsigned total = 0;

	for (unsigned head = 0; head < RING_WATCH_MAX; head++) {
		if (watch->given[head] > 1)
			return false;
		total += watch->given[head];
	}
	return !watch->lost && total == (uint16_t)(watch->avail - watch->used);
}

int ring_watch_take(struct ring_watch *watch)
{
	for (int head = 0; head < RING_WATCH_MAX; head++) {
		if (!watch->given[head])
			continue;
		watch->given[head]--;
		return head;
	}
	return -1;
}
