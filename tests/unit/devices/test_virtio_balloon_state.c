/* Pages go back to the host, and statistics come, over pauses and moves to
 * another device.
 */
#include "tests/unit/unit.h"

#include <linux/virtio_balloon.h>
#include <string.h>
#include <unistd.h>

#include "base/le_types.h"
#include "devices/virtio/virtio_state.h"
#include "devices/virtio_balloon.h"
#include "tests/state_harness.h"

#define INFLATE 0
#define DEFLATE 1
#define STATS 2
#define REPORTING 4
#define PAGE 4096u
#define PAGES (FAKE_RAM_SIZE / PAGE)

#define FEATURES \
	(1ULL << VIRTIO_BALLOON_F_STATS_VQ | 1ULL << VIRTIO_BALLOON_F_REPORTING)

#define LISTS 8 /* chains of a queue; each lists pages of its own */

struct balloon_test {
	struct state_harness *h;
	bool pages[PAGES];	      /* went back since they were listed */
	bool reported[FAKE_RAM_SIZE]; /* and bytes, since they were */
	uint64_t stats;		      /* what the driver told last */
};

/* Forgets nothing of the guest's, so that all else can be checked. Reports are
 * shorter than a page. */
static int discard(void *ctx, uint8_t *host, uint64_t len)
{
	struct balloon_test *t = ctx;
	uint64_t offset = (uint64_t)(host - t->h->d.ram);

	assert_in_range(len, 1, FAKE_RAM_SIZE);
	assert_in_range(offset, 0, FAKE_RAM_SIZE - len);
	if (len < PAGE)
		memset(t->reported + offset, true, len);
	else
		memset(t->pages + offset / PAGE, true, len / PAGE);
	return 0;
}

static struct virtio_device *create(struct state_harness *h)
{
	struct balloon_test *t = h->ctx;
	const struct virtio_balloon_options options = {
		.target = 64 * PAGE,
		.stats_every = 1,
		.reporting = true,
		.discard = discard,
		.ctx = t,
	};
	struct error err;

	t->h = h;
	return virtio_balloon_create(&options, &h->d.mem, h->d.loop, &err);
}

static uint32_t page_of(struct state_harness *h, unsigned queue,
			const struct state_chain *chain, uint32_t i)
{
	unsigned list = (unsigned)(chain - h->chains[queue]);

	return ((uint32_t)chain->tag * LISTS + i * LISTS + list) % PAGES;
}

/* Lists that take several turns, or a part of one. */
static void list_pages(struct state_harness *h, unsigned queue,
		       struct state_chain *chain)
{
	struct balloon_test *t = h->ctx;
	uint32_t count = 2 + state_random(h, STATE_ROOM / 4 - 1);
	uint32_t lens[2] = { 4 * (count / 2), 4 * (count - count / 2) };
	le32_t *pfns = state_ptr(h, chain);

	/* where the list begins, and how long it is */
	chain->tag = state_random(h, PAGES) | (uint64_t)count << 32;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t page = page_of(h, queue, chain, i);

		pfns[i] = le32((uint32_t)(FAKE_RAM_BASE / PAGE) + page);
		if (queue == INFLATE)
			t->pages[page] = false;
	}
	state_give(h, queue, chain, lens, 2, 0);
}

static void report(struct state_harness *h, struct state_chain *chain)
{
	struct balloon_test *t = h->ctx;
	const uint32_t lens[2] = { STATE_ROOM / 2, STATE_ROOM / 2 };

	memset(t->reported + (chain->gpa - FAKE_RAM_BASE), 0, STATE_ROOM);
	state_give(h, REPORTING, chain, lens, 0, 2);
}

static void tell_stats(struct state_harness *h, struct state_chain *chain)
{
	struct balloon_test *t = h->ctx;
	const uint32_t len = 10;
	le16_t tag = le16(BALLOON_FREE);
	le64_t value = le64(++t->stats);

	memcpy(state_ptr(h, chain), &tag, sizeof(tag));
	memcpy((uint8_t *)state_ptr(h, chain) + 2, &value, sizeof(value));
	state_give(h, STATS, chain, &len, 1, 0);
}

static void step(struct state_harness *h)
{
	static const unsigned queues[] = { INFLATE, INFLATE, DEFLATE, STATS,
					   REPORTING };
	unsigned queue = queues[state_random(h, 5)];
	struct state_chain *chain = state_free_chain(h, queue);

	if (!chain)
		return;
	if (queue == REPORTING)
		report(h, chain);
	else if (queue == STATS)
		tell_stats(h, chain);
	else
		list_pages(h, queue, chain);
}

static void settle(struct state_harness *h)
{
	struct balloon_test *t = h->ctx;
	struct virtio_balloon_status status;

	for (unsigned i = 0; i < 100; i++)
		state_collect(h);
	virtio_balloon_get_status(h->d.dev, &status);
	assert_int_equal(status.stats.value[BALLOON_FREE], t->stats);
	assert_int_equal(status.target, 64 * PAGE);
}

static void used(struct state_harness *h, unsigned queue,
		 struct state_chain *chain, uint32_t len)
{
	struct balloon_test *t = h->ctx;
	uint32_t count = (uint32_t)(chain->tag >> 32);

	assert_int_equal(len, 0);
	for (uint32_t i = 0; queue == INFLATE && i < count; i++)
		assert_true(t->pages[page_of(h, queue, chain, i)]);
	for (uint32_t i = 0; queue == REPORTING && i < STATE_ROOM; i++)
		assert_true(t->reported[chain->gpa - FAKE_RAM_BASE + i]);
}

static const struct state_device balloon = {
	.create = create,
	.destroy = virtio_device_destroy,
	.features = FEATURES,
	.queue_size = 16,
	.descs = 2,
	.keeps = 1u << STATS,
	.step = step,
	.settle = settle,
	.used = used,
};

static void the_driver_cannot_tell(void **state)
{
	static struct balloon_test t;

	(void)state;
	t.stats = 0;
	state_run_all(&balloon, &t);
}

/* The buffer of statistics is held over a pause, and asked for afterwards. */
static void statistics_are_asked_for_after_a_pause(void **state)
{
	static struct balloon_test t;
	static struct state_harness h = { .ctx = &t, .device = &balloon };
	struct fake_buffer b;
	uint32_t head, len;

	(void)state;
	fake_init(&h.d);
	fake_attach_mock(&h.d, create(&h), &h.transport);
	fake_start(&h.d, FEATURES, 8);
	b = (struct fake_buffer){ fake_alloc(&h.d, 16, 16), 10 };
	fake_add(&h.d, STATS, &b, 1, 0);
	fake_kick(&h.d, STATS);
	virtio_device_quiesce(h.d.dev);
	assert_int_equal(h.d.dev->queues[STATS].state.next_avail, 0);
	virtio_device_resume(h.d.dev);
	fake_run_loop(&h.d);
	assert_int_equal(h.d.dev->queues[STATS].state.next_avail, 1);
	for (unsigned ms = 0; ms < 5000 && !fake_used_idx(&h.d, STATS); ms++) {
		usleep(1000);
		fake_run_loop(&h.d);
	}
	assert_true(fake_get_used(&h.d, STATS, &head, &len));
	fake_detach(&h.d);
	virtio_device_destroy(h.d.dev);
	fake_fini(&h.d);
}

static void damaged_states_do_no_harm(void **state)
{
	static struct balloon_test t;

	(void)state;
	state_load_damaged(&balloon, &t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_driver_cannot_tell),
		cmocka_unit_test(damaged_states_do_no_harm),
		cmocka_unit_test(statistics_are_asked_for_after_a_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
