/* A disk goes on over pauses, other files in its place and moves to another
 * device.
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/le_types.h"
#include "devices/block/virtio_blk.h"
#include "devices/virtio/virtio_state.h"
#include "tests/state_harness.h"
#include "tests/sync_engine.h"

#define QUEUES 2
#define DATA 1024 /* bytes of a request, at a place of the chain's own */
#define DISK_SIZE (QUEUES * STATE_CHAINS_MAX * DATA)

struct disk_test {
	block_engine_create_fn *engine; /* NULL: the program's choice */
	struct disk disk;		/* the one that is there, or is to be */
	int old_fd;			/* while an exchange is under way */
	unsigned swaps, swapped;
	uint8_t written[QUEUES][STATE_CHAINS_MAX]; /* what each place holds */
};

/* Requests go to the engine that the program uses, as a memfd has no
 * RWF_NOWAIT; some of them wait for a limit. */
static struct virtio_device *create(struct state_harness *h)
{
	struct disk_test *t = h->ctx;
	const struct virtio_blk_options options = {
		.disk = &t->disk,
		.queues = QUEUES,
		.limits.ops = { 20000, 5 },
		.engine_create = t->engine,
	};
	struct error err;

	if (!h->moves) /* a new run */
		memset(t->written, 0, sizeof(t->written));
	if (!h->moves &&
	    (ftruncate(t->disk.fd, 0) || ftruncate(t->disk.fd, DISK_SIZE)))
		return NULL;
	return virtio_blk_create(&options, &h->d.mem, h->d.loop, &err);
}

static void on_swapped(void *ctx, int result)
{
	struct disk_test *t = ctx;

	assert_int_equal(result, 0);
	t->swapped++;
	close(t->old_fd);
}

/* The same bytes by another descriptor. */
static void swap(struct state_harness *h)
{
	struct disk_test *t = h->ctx;
	char path[32];
	struct disk other = t->disk;
	struct error err;

	if (t->swaps != t->swapped)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", t->disk.fd);
	other.fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(other.fd >= 0);
	t->swaps++;
	t->old_fd = t->disk.fd;
	t->disk.fd = other.fd;
	assert_int_equal(virtio_blk_swap(h->d.dev, &other, on_swapped, t, &err),
			 0);
}

static void step(struct state_harness *h)
{
	struct disk_test *t = h->ctx;
	unsigned queue = state_random(h, QUEUES);
	struct state_chain *chain = state_free_chain(h, queue);
	unsigned place = (unsigned)(chain - h->chains[queue]);
	bool write = state_random(h, 2);
	le32_t type = le32(write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN);
	le64_t sector;
	uint32_t lens[] = { 16, DATA, 1 };
	uint8_t *at;

	if (state_random(h, 20) == 0)
		swap(h);
	if (!chain)
		return;
	at = state_ptr(h, chain);
	sector = le64((queue * STATE_CHAINS_MAX + place) * (DATA / 512));
	memcpy(at, &type, sizeof(type));
	memcpy(at + 8, &sector, sizeof(sector));
	if (write)
		t->written[queue][place] = (uint8_t)state_random(h, 256);
	memset(at + 16, write ? t->written[queue][place] : 0x55, DATA);
	at[16 + DATA] = 0xff;
	chain->tag = write;
	state_give(h, queue, chain, lens, write ? 2 : 1, write ? 1 : 2);
}

static void used(struct state_harness *h, unsigned queue,
		 struct state_chain *chain, uint32_t len)
{
	struct disk_test *t = h->ctx;
	const uint8_t *at = state_ptr(h, chain);
	unsigned place = (unsigned)(chain - h->chains[queue]);

	assert_int_equal(len, chain->tag ? 1 : DATA + 1);
	assert_int_equal(at[16 + DATA], VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < DATA; i++)
		assert_int_equal(at[16 + i], t->written[queue][place]);
}

static const struct state_device blk = {
	.create = create,
	.destroy = virtio_device_destroy,
	.features = 1ULL << VIRTIO_BLK_F_MQ,
	.queue_size = 32,
	.descs = 4,
	.step = step,
	.used = used,
};

static struct disk_test make_disk(void)
{
	return (struct disk_test){
		.disk = { .fd = memfd_create("disk", MFD_CLOEXEC),
			  .size = DISK_SIZE,
			  .block_size = 512,
			  .mem_align = 1,
			  .topology = { .physical = 4096 } },
	};
}

static void the_driver_cannot_tell(void **state)
{
	struct disk_test t = make_disk();

	(void)state;
	state_run_all(&blk, &t);
	assert_true(t.swapped > 10);
	assert_int_equal(t.swapped, t.swaps);
}

/* Each pause cuts short what is under way. */
static void nor_where_requests_take_many_steps(void **state)
{
	struct disk_test t = make_disk();

	(void)state;
	t.engine = sync_engine_create;
	sync_engine_short = DATA / 4;
	state_run_all(&blk, &t);
	sync_engine_short = 0;
	assert_int_equal(t.swapped, t.swaps);
}

/* --- another disk than where it was saved --- */

static void config_fits_the_disk_that_is_there(void **state)
{
	struct disk_test t = make_disk();
	struct state_harness h = { .ctx = &t };
	uint64_t saved[256];
	struct virtio_blk_config config;
	struct error err;
	size_t size;

	(void)state;
	fake_init(&h.d);
	t.disk.block_size = 2048;
	fake_attach_mock(&h.d, create(&h), &h.transport);
	fake_start(&h.d, 0, 8);
	size = virtio_device_state_size(h.d.dev);
	virtio_device_quiesce(h.d.dev);
	virtio_device_save(h.d.dev, saved);
	fake_detach(&h.d);
	virtio_device_destroy(h.d.dev);

	t.disk.block_size = 4096;
	fake_attach_mock(&h.d, create(&h), &h.transport);
	assert_int_equal(virtio_device_load(h.d.dev, saved, size, &err), -1);
	fake_detach(&h.d);
	virtio_device_destroy(h.d.dev);

	t.disk.block_size = 512;
	t.disk.size = DISK_SIZE / 2 + 512;
	fake_attach_mock(&h.d, create(&h), &h.transport);
	assert_int_equal(virtio_device_load(h.d.dev, saved, size, &err), 0);
	virtio_device_resume(h.d.dev);
	memcpy(&config, h.d.dev->config, sizeof(config));
	assert_int_equal(config.capacity, DISK_SIZE / 2 / 512);
	assert_int_equal(config.blk_size, 2048);
	assert_int_equal(config.physical_block_exp, 1);
	assert_int_equal(h.transport.config_changes, 1);
	fake_detach(&h.d);
	virtio_device_destroy(h.d.dev);
	fake_fini(&h.d);
	close(t.disk.fd);
}

static void damaged_states_do_no_harm(void **state)
{
	struct disk_test t = make_disk();

	(void)state;
	state_load_damaged(&blk, &t);
	close(t.disk.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_driver_cannot_tell),
		cmocka_unit_test(nor_where_requests_take_many_steps),
		cmocka_unit_test(damaged_states_do_no_harm),
		cmocka_unit_test(config_fits_the_disk_that_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
