/* Split virtqueues, device side (virtio 1.2, section 2.7).
 *
 * The driver's ring is hostile memory: indexes are loaded once, descriptors
 * are copied before they are checked, every buffer is checked against guest
 * memory, walks are bounded. A driver that breaks the rules breaks this queue
 * only: from then on virtqueue_pop() returns -EPROTO, and the device asks for a
 * reset. Called under the device's mutex.
 *
 * A device pushes each chain that it popped exactly once, then or later;
 * virtio_device_serve() is the loop around that.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/guest_mem.h"

/* The longest chain a device accepts, in buffers: a disk's header and status,
 * and a megabyte in pages of 4 KiB that lie nowhere together. Linux asks a disk
 * for little more at once (max_sectors_kb, 1280), and the kernel takes up to
 * 1024 of them (IOV_MAX). */
#define CHAIN_IOV_MAX 258

struct chain {
	uint16_t head;
	uint16_t out_count; /* iov[0 .. out_count): the device reads these */
	uint16_t in_count; /* the in_count iovecs after those: it writes them */
	struct iovec iov[CHAIN_IOV_MAX];
};

/* State saved in a snapshot. */
struct virtqueue_state {
	uint64_t desc; /* guest physical addresses of the three rings */
	uint64_t avail;
	uint64_t used;
	uint16_t size; /* entries, a power of two, 1 to size_max */
	uint16_t ready;
	uint16_t next_avail;	 /* next available entry to pop */
	uint16_t next_used;	 /* next used entry to fill */
	uint16_t last_interrupt; /* next_used when the driver was last told */
	uint16_t pad[3];
};
static_assert(sizeof(struct virtqueue_state) == 40, "saved in snapshots");

struct virtqueue {
	struct virtqueue_state state;
	uint16_t size_max;
	bool event_idx; /* VIRTIO_RING_F_EVENT_IDX was negotiated */
	bool broken;
	uint16_t batch; /* how many chains the driver collects before it kicks:
			 * 1, or more with event_idx while queue_batch.h has a
			 * timer for them */
	const struct guest_mem *mem;
	/* host addresses of the rings, valid while started */
	const struct virtq_desc *desc;
	uint16_t *avail;
	uint16_t *used;
};

/* A queue that no driver has touched, also in the place of one that a driver
 * has used. */
void virtqueue_init(struct virtqueue *vq, uint16_t size_max);

/* Checks the rings' addresses, alignment and size, and readies the queue.
 * -EINVAL when they are not wholly inside guest memory; the queue is then
 * broken. */
int virtqueue_start(struct virtqueue *vq, const struct guest_mem *mem,
		    bool event_idx);

/* Takes the next available chain: 1 with *chain filled, 0 when there is none,
 * -EPROTO when the ring is broken or the queue was not started. */
int virtqueue_pop(struct virtqueue *vq, struct chain *chain);

/* How many chains are available; no more than the queue has entries. */
uint16_t virtqueue_waiting(const struct virtqueue *vq);

/* Puts the chain that was popped last back into the ring, as if it had not been
 * popped. May be repeated for the chains before it. */
void virtqueue_unpop(struct virtqueue *vq);

/* Gives a chain back, with the number of bytes written into it. */
void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written);

/* The same in two steps, for chains that the driver must see together. */
void virtqueue_put(struct virtqueue *vq, uint16_t head, uint32_t written);
void virtqueue_publish(struct virtqueue *vq);

/* For a queue that somebody else serves or did serve: where the rings stand,
 * and the head of an entry that stands there already. The queue is started. A
 * head may be any number. */
uint16_t virtqueue_avail_idx(const struct virtqueue *vq);
uint16_t virtqueue_used_idx(const struct virtqueue *vq);
uint16_t virtqueue_avail_head(const struct virtqueue *vq, uint16_t at);
uint32_t virtqueue_used_head(const struct virtqueue *vq, uint16_t at);

/* Goes on from there: with available entry next_avail and used entry
 * next_used. */
void virtqueue_seek(struct virtqueue *vq, uint16_t next_avail,
		    uint16_t next_used);

/* The chain that begins at head, wherever that was made available: 0, or
 * -EPROTO when it is broken, and the queue with it. */
int virtqueue_fetch(struct virtqueue *vq, uint16_t head, struct chain *chain);

/* Whether the driver wants an interrupt for what was pushed since the last
 * time this said yes. */
bool virtqueue_needs_interrupt(struct virtqueue *vq);

/* Ask the driver not to kick, or to kick again. enable returns true when
 * a batch became available meanwhile, for which no kick will come. */
void virtqueue_kicks_disable(struct virtqueue *vq);
bool virtqueue_kicks_enable(struct virtqueue *vq);
