/* A balloon whose discard() writes down what it is given, and zeros it as the
 * host would.
 */
#pragma once

#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_mmio.h>
#include <string.h>

#include "base/le_types.h"
#include "devices/virtio_balloon.h"
#include "tests/fake_driver.h"

#define INFLATE 0
#define DEFLATE 1
#define STATS 2
#define PAGE 4096u
#define FIRST_PFN (uint32_t)(FAKE_RAM_BASE / PAGE)
#define LAST_PFN (uint32_t)(FIRST_PFN + FAKE_RAM_SIZE / PAGE - 1)

#define F_STATS (1ULL << VIRTIO_BALLOON_F_STATS_VQ)
#define F_REPORTING (1ULL << VIRTIO_BALLOON_F_REPORTING)
#define F_POISON (1ULL << VIRTIO_BALLOON_F_PAGE_POISON)

#define CONFIG(field) offsetof(struct virtio_balloon_config, field)

#define DISCARDS_MAX 1024

struct fixture {
	struct fake_driver d;
	struct virtio_device *dev;
	struct {
		uint64_t gpa, len;
	} discards[DISCARDS_MAX];
	unsigned discard_count;
	int discard_result;
};

static inline int mock_discard(void *ctx, uint8_t *host, uint64_t len)
{
	struct fixture *f = ctx;
	uint64_t offset = (uint64_t)(host - f->d.ram);

	assert_in_range(offset, 0, FAKE_RAM_SIZE - 1);
	assert_in_range(len, 1, FAKE_RAM_SIZE - offset);
	assert_true(f->discard_count < DISCARDS_MAX);
	f->discards[f->discard_count].gpa = FAKE_RAM_BASE + offset;
	f->discards[f->discard_count++].len = len;
	memset(host, 0, len);
	return f->discard_result;
}

static inline int set_up(void **state,
			 const struct virtio_balloon_options *wanted)
{
	static struct fixture f;
	struct virtio_balloon_options options = *wanted;
	struct error err;

	memset(&f, 0, sizeof(f));
	options.discard = mock_discard;
	options.ctx = &f;
	fake_init(&f.d);
	f.dev = virtio_balloon_create(&options, &f.d.mem, f.d.loop, &err);
	if (!f.dev)
		return -1;
	fake_attach(&f.d, f.dev);
	*state = &f;
	return 0;
}

/* With all there is. */
static inline int setup(void **state)
{
	return set_up(state, &(struct virtio_balloon_options){
				     .target = 64 * PAGE,
				     .stats_every = 1,
				     .reporting = true,
			     });
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	virtio_device_destroy(f->dev);
	fake_fini(&f->d);
	return 0;
}

/* Brings the driver up with queues 0 to count - 1. */
static inline void start(struct fixture *f, uint64_t features, unsigned count)
{
	assert_true(fake_negotiate(&f->d, features));
	for (unsigned i = 0; i < count; i++)
		fake_setup_queue(&f->d, i, 16);
	fake_driver_ok(&f->d);
}

static inline void write_config(struct fixture *f, uint64_t offset,
				uint32_t value)
{
	fake_write(&f->d, VIRTIO_MMIO_CONFIG + offset, value);
}

/* Makes a list of pages available, and kicks. */
static inline void list_pages(struct fixture *f, unsigned queue,
			      const uint32_t *pfns, unsigned count)
{
	struct fake_buffer b = { fake_alloc(&f->d, 4 * (size_t)count, 4),
				 4 * count };
	le32_t *list = fake_ptr(&f->d, b.gpa);

	for (unsigned i = 0; i < count; i++)
		list[i] = le32(pfns[i]);
	fake_add(&f->d, queue, &b, 1, 0);
	fake_kick(&f->d, queue);
}

#define LIST_PAGES(f, queue, ...)                         \
	list_pages(f, queue, (uint32_t[]){ __VA_ARGS__ }, \
		   sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

static inline bool got_used(struct fixture *f, unsigned queue)
{
	uint32_t head, len;

	if (!fake_get_used(&f->d, queue, &head, &len))
		return false;
	assert_int_equal(len, 0);
	return true;
}

static inline void assert_discarded(struct fixture *f, unsigned index,
				    uint64_t gpa, uint64_t len)
{
	assert_true(index < f->discard_count);
	assert_int_equal(f->discards[index].gpa, gpa);
	assert_int_equal(f->discards[index].len, len);
}

static inline uint64_t at(uint32_t pfn)
{
	return (uint64_t)pfn * PAGE;
}
