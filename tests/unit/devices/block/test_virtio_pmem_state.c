/* Every flush is answered once over pauses and moves to another device. */
#include "tests/unit/unit.h"

#include <linux/virtio_pmem.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/le_types.h"
#include "devices/block/virtio_pmem.h"
#include "tests/state_harness.h"

#define RESP_OK 0
#define RESP_FAILED 1

/* Flushes go to the engine that the program uses. */
static struct virtio_device *create(struct state_harness *h)
{
	const struct virtio_pmem_options options = {
		.start = 0x140000000,
		.size = 1 << 20,
		.fd = *(int *)h->ctx,
	};
	struct error err;

	return virtio_pmem_create(&options, &h->d.mem, h->d.loop, &err);
}

static void step(struct state_harness *h)
{
	struct state_chain *chain = state_free_chain(h, 0);
	bool good = state_random(h, 4);
	const uint32_t lens[] = { 4, 4 };
	le32_t words[2] = { le32(VIRTIO_PMEM_REQ_TYPE_FLUSH + !good),
			    le32(UINT32_MAX) };

	if (!chain)
		return;
	memcpy(state_ptr(h, chain), words, sizeof(words));
	chain->tag = good ? RESP_OK : RESP_FAILED;
	state_give(h, 0, chain, lens, 1, 1);
}

static void used(struct state_harness *h, unsigned queue,
		 struct state_chain *chain, uint32_t len)
{
	le32_t words[2];

	(void)queue;
	memcpy(words, state_ptr(h, chain), sizeof(words));
	assert_int_equal(len, 4);
	assert_int_equal(le32_get(words[1]), chain->tag);
}

static const struct state_device pmem = {
	.create = create,
	.destroy = virtio_device_destroy,
	.queue_size = 64,
	.descs = 2,
	.step = step,
	.used = used,
};

static void the_driver_cannot_tell(void **state)
{
	int fd = memfd_create("pmem", MFD_CLOEXEC);

	(void)state;
	state_run_all(&pmem, &fd);
	close(fd);
}

/* A device whose file is never flushed has nothing to wait for. */
static void the_driver_cannot_tell_without_flushes(void **state)
{
	int fd = -1;

	(void)state;
	state_run_all(&pmem, &fd);
}

static void damaged_states_do_no_harm(void **state)
{
	int fd = memfd_create("pmem", MFD_CLOEXEC);

	(void)state;
	state_load_damaged(&pmem, &fd);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_driver_cannot_tell),
		cmocka_unit_test(the_driver_cannot_tell_without_flushes),
		cmocka_unit_test(damaged_states_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
