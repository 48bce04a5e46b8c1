/* Kicks that are served at once, and how the driver is made to collect. */
#include "tests/unit/devices/virtio/virtio_mmio_fixture.h"

#define SIZE MOCK_QUEUE_MAX
#define EVENT_IDX (1ULL << VIRTIO_RING_F_EVENT_IDX)

static int next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct chain chain;
	int ret = virtqueue_pop(vq, &chain);

	(void)dev;
	if (ret > 0)
		virtqueue_push(vq, chain.head, 0);
	return ret;
}

static void notify(struct virtio_device *dev, unsigned queue)
{
	virtio_device_serve(dev, queue, 4 * SIZE, next);
}

static const struct virtio_device_ops ops = {
	.name = "mock",
	MOCK_SIZES,
	.notify = notify,
	.kick_inline = true,
	.batched = true,
};

static int setup_batched(void **state)
{
	return setup_as(state, &ops);
}

static void start(struct fixture *f, uint64_t features)
{
	fake_start(&f->d, features, SIZE);
}

static uint16_t ring_word(struct fixture *f, uint64_t gpa)
{
	uint16_t word;

	memcpy(&word, fake_ptr(&f->d, gpa), sizeof(word));
	return word;
}

/* Gives one buffer as a Linux driver does; returns whether it had to kick. */
static bool give(struct fixture *f)
{
	struct fake_queue *q = &f->d.queues[0];
	struct fake_buffer buffer = { FAKE_RAM_BASE, 64 };
	uint16_t before = q->avail_idx;
	bool kick = !ring_word(f, q->used); /* flags */

	q->next_desc = 0; /* one descriptor for all: nobody looks at it */
	fake_add(&f->d, 0, &buffer, 1, 0);
	if (f->mock->dev.driver_features & EVENT_IDX)
		kick = vring_need_event(ring_word(f, q->used + 4 + 8 * SIZE),
					q->avail_idx, before);
	if (kick)
		fake_kick(&f->d, 0);
	return kick;
}

static bool all_used(struct fixture *f)
{
	return fake_used_idx(&f->d, 0) == f->d.queues[0].avail_idx;
}

static void wait_until_used(struct fixture *f)
{
	for (int i = 0; i < 5000 && !all_used(f); i++) {
		usleep(1000);
		fake_run_loop(&f->d);
	}
	assert_true(all_used(f));
}

static void a_driver_with_many_collects_them(void **state)
{
	struct fixture *f = *state;
	unsigned kicks = 0;

	start(f, EVENT_IDX);
	for (int i = 0; i < 10000; i++)
		kicks += give(f);
	assert_in_range(kicks, 10000 / 16, 10000 / 8);
	wait_until_used(f);
	/* idle for a while, it is served at once */
	usleep(20000);
	fake_run_loop(&f->d);
	assert_true(give(f));
	assert_true(all_used(f));
}

static void a_driver_that_waits_does_so_seldom(void **state)
{
	struct fixture *f = *state;
	unsigned waits = 0;

	start(f, EVENT_IDX);
	for (int i = 0; i < 10000; i++) {
		if (!give(f))
			waits++;
		wait_until_used(f);
	}
	assert_in_range(waits, 1, 60);
}

static void without_event_idx_nobody_collects(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	for (int i = 0; i < 10000; i++) {
		assert_true(give(f));
		assert_true(all_used(f));
	}
}

/* A hostile driver kicks anyhow, or writes nonsense. */
static void kicks_that_nobody_wants_are_served(void **state)
{
	struct fixture *f = *state;

	start(f, EVENT_IDX);
	for (int i = 0; i < 10000; i++) {
		if (!give(f))
			fake_kick(&f->d, 0);
		assert_true(all_used(f));
		fake_kick(&f->d, 0);
		fake_kick(&f->d, VIRTIO_QUEUES_MAX);
		fake_kick(&f->d, UINT32_MAX);
	}
}

static void a_reset_ends_the_wait(void **state)
{
	struct fixture *f = *state;
	uint16_t used;

	start(f, EVENT_IDX);
	while (give(f))
		;
	used = fake_used_idx(&f->d, 0);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	usleep(20000);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, 0), used);
	start(f, EVENT_IDX);
	assert_true(give(f));
	assert_true(all_used(f));
}

static void a_ring_that_breaks_while_it_waits(void **state)
{
	struct fixture *f = *state;

	start(f, EVENT_IDX);
	while (give(f))
		;
	fake_set_avail_idx(&f->d, 0,
			   (uint16_t)(f->d.queues[0].avail_idx + 1000));
	for (int i = 0; i < 5000 && !fake_needs_reset(&f->d); i++) {
		usleep(1000);
		fake_run_loop(&f->d);
	}
	assert_true(fake_needs_reset(&f->d));
}

int main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup_batched, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_driver_with_many_collects_them),
		TEST(a_driver_that_waits_does_so_seldom),
		TEST(without_event_idx_nobody_collects),
		TEST(kicks_that_nobody_wants_are_served),
		TEST(a_reset_ends_the_wait),
		TEST(a_ring_that_breaks_while_it_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
