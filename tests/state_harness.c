#include "tests/state_harness.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/le_types.h"
#include "base/wake.h"
#include "devices/virtio/virtio_negotiation.h"
#include "devices/virtio/virtio_state.h"

#define SEEDS 40
#define STEPS 150
#define SETTLE_MS 10000
#define OVERWRITTEN 0xee

static void must(bool ok, const struct state_harness *h, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "state harness, after %u moves and %u pauses: %s\n",
		h->moves, h->pauses, what);
	abort();
}

unsigned state_random(struct state_harness *h, unsigned below)
{
	h->random = h->random * 1664525 + 1013904223;
	return (h->random >> 8) % below;
}

void *state_ptr(struct state_harness *h, const struct state_chain *chain)
{
	return fake_ptr(&h->d, chain->gpa);
}

/* --- rings --- */

static unsigned chain_count(const struct state_harness *h)
{
	unsigned count = h->device->queue_size / h->device->descs;

	return count < STATE_CHAINS_MAX ? count : STATE_CHAINS_MAX;
}

struct state_chain *state_free_chain(struct state_harness *h, unsigned queue)
{
	for (unsigned i = 0; i < chain_count(h); i++)
		if (!h->chains[queue][i].busy)
			return &h->chains[queue][i];
	return NULL;
}

static uint16_t ring_word(struct state_harness *h, uint64_t gpa)
{
	le16_t word;

	memcpy(&word, fake_ptr(&h->d, gpa), sizeof(word));
	return le16_get(word);
}

static bool wants_kick(struct state_harness *h, unsigned queue, uint16_t before)
{
	const struct fake_queue *q = &h->d.queues[queue];

	if (!h->event_idx)
		return !(ring_word(h, q->used) & VRING_USED_F_NO_NOTIFY);
	return vring_need_event(ring_word(h,
					  q->used + 4 + 8 * (uint64_t)q->size),
				q->avail_idx, before);
}

void state_give(struct state_harness *h, unsigned queue,
		struct state_chain *chain, const uint32_t *lens, unsigned outs,
		unsigned ins)
{
	struct fake_queue *q = &h->d.queues[queue];
	unsigned first =
		(unsigned)(chain - h->chains[queue]) * h->device->descs;
	uint16_t before = q->avail_idx;
	uint64_t gpa = chain->gpa;

	must(!chain->busy && outs + ins <= h->device->descs, h, "a bad test");
	chain->busy = true;
	for (unsigned i = 0; i < outs + ins; i++) {
		uint16_t flags = i < outs ? 0 : FAKE_WRITE;

		if (i + 1 < outs + ins)
			flags |= FAKE_NEXT;
		fake_desc(&h->d, q->desc, first + i, gpa, lens[i], flags,
			  (uint16_t)(first + i + 1));
		gpa += lens[i];
	}
	fake_make_available(&h->d, queue, (uint16_t)first);
	if (!wants_kick(h, queue, before))
		return;
	if (h->transport.kicks[queue] >= 0)
		wake(h->transport.kicks[queue]);
	else
		fake_kick(&h->d, queue);
}

/* Asks for an interrupt by the next chain. */
static void set_used_event(struct state_harness *h, unsigned queue)
{
	const struct fake_queue *q = &h->d.queues[queue];
	le16_t event = le16(q->used_seen);

	memcpy(fake_ptr(&h->d, q->avail + 4 + 2 * (uint64_t)q->size), &event,
	       sizeof(event));
}

static void collect(struct state_harness *h, unsigned queue)
{
	uint32_t head, len;

	if (!mock_transport_interrupts(&h->transport, queue))
		return;
	do {
		while (fake_get_used(&h->d, queue, &head, &len)) {
			struct state_chain *chain =
				&h->chains[queue][head / h->device->descs];

			must(head / h->device->descs < chain_count(h) &&
				     head % h->device->descs == 0,
			     h, "a head that was never given");
			must(chain->busy, h, "a chain came back twice");
			chain->busy = false;
			h->device->used(h, queue, chain, len);
		}
		set_used_event(h, queue);
	} while (h->d.queues[queue].used_seen != fake_used_idx(&h->d, queue));
}

void state_collect(struct state_harness *h)
{
	fake_run_loop(&h->d);
	for (unsigned i = 0; i < h->d.dev->queue_count; i++)
		collect(h, i);
	must(!fake_needs_reset(&h->d), h, "the device is broken");
}

/* --- the device stands still, and goes on --- */

/* Nothing of guest memory changes, whatever the host does. */
static void stand_still(struct state_harness *h)
{
	uint8_t *copy = malloc(FAKE_RAM_SIZE);

	must(copy, h, "memory");
	virtio_device_quiesce(h->d.dev);
	memcpy(copy, h->d.ram, FAKE_RAM_SIZE);
	fake_run_loop(&h->d);
	fake_run_loop(&h->d);
	must(memcmp(copy, h->d.ram, FAKE_RAM_SIZE) == 0, h,
	     "guest memory was written to while the device stood still");
	free(copy);
}

static void pause_device(struct state_harness *h)
{
	h->pauses++;
	stand_still(h);
	virtio_device_resume(h->d.dev);
}

static uint8_t *save(struct state_harness *h, size_t *size)
{
	uint8_t *state;
	struct error err;

	*size = virtio_device_state_size(h->d.dev);
	state = malloc(*size);
	must(state, h, "memory");
	stand_still(h);
	must(virtio_device_can_save(h->d.dev, &err) == 0, h, "cannot be saved");
	virtio_device_save(h->d.dev, state);
	return state;
}

/* The old device is destroyed before the fresh one is made, as both may want
 * the same things of the host. */
static void move(struct state_harness *h)
{
	size_t size;
	uint8_t *state = save(h, &size), *old = h->d.ram;
	struct error err;

	h->moves++;
	h->d.ram = malloc(FAKE_RAM_SIZE);
	must(h->d.ram, h, "memory");
	memcpy(h->d.ram, old, FAKE_RAM_SIZE);
	memset(old, OVERWRITTEN, FAKE_RAM_SIZE);
	fake_detach(&h->d);
	h->device->destroy(h->d.dev);
	for (size_t i = 0; i < FAKE_RAM_SIZE; i++)
		must(old[i] == OVERWRITTEN, h,
		     "guest memory was written to after the end");
	free(old);

	h->d.mem.count = 0;
	guest_mem_add(&h->d.mem, FAKE_RAM_BASE, FAKE_RAM_SIZE, h->d.ram);
	guest_mem_share(&h->d.mem, STDOUT_FILENO, 0);
	fake_attach_mock(&h->d, h->device->create(h), &h->transport);
	must(virtio_device_load(h->d.dev, state, size, &err) == 0, h, err.text);
	fake_run_loop(&h->d);
	virtio_device_resume(h->d.dev);
	free(state);
}

/* --- runs --- */

static void start(struct state_harness *h)
{
	uint64_t features = h->device->features;

	fake_init(&h->d);
	fake_attach_mock(&h->d, h->device->create(h), &h->transport);
	h->event_idx = state_random(h, 2);
	if (h->event_idx)
		features |= 1ULL << VIRTIO_RING_F_EVENT_IDX;
	fake_start(&h->d, features, h->device->queue_size);
	for (unsigned i = 0; i < h->d.dev->queue_count; i++)
		for (unsigned c = 0; c < chain_count(h); c++)
			h->chains[i][c].gpa = fake_alloc(&h->d, STATE_ROOM, 64);
}

static bool is_done(const struct state_harness *h)
{
	for (unsigned i = 0; i < h->d.dev->queue_count; i++)
		for (unsigned c = 0; c < chain_count(h); c++)
			if (!(h->device->keeps >> i & 1) &&
			    h->chains[i][c].busy)
				return false;
	return true;
}

static void run(struct state_harness *h)
{
	start(h);
	for (unsigned step = 0; step < STEPS; step++) {
		h->device->step(h);
		if (state_random(h, 2))
			state_collect(h);
		if (state_random(h, 16) == 0)
			pause_device(h);
		if (state_random(h, 16) == 0)
			move(h);
	}
	if (h->device->settle)
		h->device->settle(h);
	for (unsigned ms = 0; ms < SETTLE_MS && !is_done(h); ms++) {
		state_collect(h);
		if (!is_done(h))
			usleep(1000);
	}
	must(is_done(h), h, "a chain never came back");
	fake_detach(&h->d);
	h->device->destroy(h->d.dev);
	fake_fini(&h->d);
}

void state_run_all(const struct state_device *device, void *ctx)
{
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		struct state_harness h = {
			.device = device,
			.ctx = ctx,
			.random = seed,
		};

		run(&h);
	}
}

/* Of the bytes that mean something to this device. */
static void damage(struct state_harness *h, uint8_t *state, size_t size)
{
	const size_t head = offsetof(struct virtio_device_state, queues);
	const size_t used =
		head + h->d.dev->queue_count * sizeof(struct virtqueue_state);
	const size_t own = sizeof(struct virtio_device_state);

	for (unsigned i = 1 + state_random(h, 4); i > 0; i--) {
		size_t at = state_random(h, (unsigned)(used + size - own));

		if (at >= used)
			at += own - used;
		state[at] = (uint8_t)state_random(h, 256);
	}
}

static void run_damaged(struct state_harness *h)
{
	struct error err;
	uint8_t *state;
	size_t size;

	start(h);
	for (unsigned step = 0; step < 10; step++)
		h->device->step(h);
	state = save(h, &size);
	fake_detach(&h->d);
	h->device->destroy(h->d.dev);
	fake_attach_mock(&h->d, h->device->create(h), &h->transport);
	h->damaged = true;
	damage(h, state, size);
	if (virtio_device_load(h->d.dev, state, size, &err) == 0) {
		virtio_device_resume(h->d.dev);
		for (unsigned i = 0; i < 3 * h->d.dev->queue_count; i++) {
			virtio_device_kick(h->d.dev, i);
			fake_run_loop(&h->d);
		}
		virtio_device_quiesce(h->d.dev);
	}
	free(state);
	fake_detach(&h->d);
	h->device->destroy(h->d.dev);
	fake_fini(&h->d);
}

void state_load_damaged(const struct state_device *device, void *ctx)
{
	for (uint32_t seed = 1; seed <= 10 * SEEDS; seed++) {
		struct state_harness h = {
			.device = device,
			.ctx = ctx,
			.random = seed,
		};

		run_damaged(&h);
	}
}
