/* Entropy goes on over pauses and moves to another device. */
#include "tests/unit/unit.h"

#include <string.h>

#include "devices/virtio_rng.h"
#include "tests/state_harness.h"

static struct virtio_device *create(struct state_harness *h)
{
	struct error err;

	return virtio_rng_create(&h->d.mem, h->d.loop, &err);
}

static void step(struct state_harness *h)
{
	struct state_chain *chain = state_free_chain(h, 0);
	uint32_t lens[2] = { 1 + state_random(h, 200),
			     1 + state_random(h, 200) };

	if (!chain)
		return;
	chain->tag = lens[0] + lens[1];
	memset(state_ptr(h, chain), 0, STATE_ROOM);
	state_give(h, 0, chain, lens, 0, 2);
}

static void used(struct state_harness *h, unsigned queue,
		 struct state_chain *chain, uint32_t len)
{
	const uint8_t *bytes = state_ptr(h, chain);

	(void)queue;
	assert_int_equal(len, chain->tag);
	for (size_t i = len; i < STATE_ROOM; i++)
		assert_int_equal(bytes[i], 0);
}

static const struct state_device rng = {
	.create = create,
	.destroy = virtio_device_destroy,
	.queue_size = 8,
	.descs = 2,
	.step = step,
	.used = used,
};

static void the_driver_cannot_tell(void **state)
{

	(void)state;
	state_run_all(&rng, NULL);
}

static void damaged_states_do_no_harm(void **state)
{
	(void)state;
	state_load_damaged(&rng, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_driver_cannot_tell),
		cmocka_unit_test(damaged_states_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
