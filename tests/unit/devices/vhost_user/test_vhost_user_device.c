/* A virtio device whose queues a back-end serves: a block device, here. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/block/vhost_user_blk.h"
#include "devices/vhost_user/vhost_user_device.h"
#include "tests/fake_backend.h"
#include "tests/fake_driver.h"

/* Long where an answer comes, however busy the machine is; short where none
 * does. */
#define LONG_MS 30000
#define SHORT_MS 300
#define ENTRIES 8
#define FLUSH (1ULL << VIRTIO_BLK_F_FLUSH)

struct fixture {
	struct fake_driver d;
	struct fake_backend b;
	struct vhost_user *conn;
	struct virtio_device *dev;
	uint64_t header, data, status; /* status: a byte for each head */
};

static struct fixture fixture;

static void set_num_queues(struct fake_backend *b, uint8_t count)
{
	size_t at = offsetof(struct virtio_blk_config, num_queues);

	b->config[at] = count;
	b->config[at + 1] = 0;
}

static void create_for(struct fixture *f, unsigned timeout_ms)
{
	struct vhost_user_options options = {
		.kind = &vhost_user_blk_kind,
		.name = "disk7",
		.connect = fake_backend_connect,
		.ctx = &f->b,
		.timeout_ms = timeout_ms,
		.retry_ms = 10,
	};
	struct error err;

	/* a short time may be too short already */
	for (int i = 0; i < 100 && !f->conn; i++) {
		fake_backend_stop(&f->b);
		fake_backend_listen(&f->b);
		options.fd = fake_backend_connect(&f->b, &err);
		f->conn = vhost_user_create(&options, &err);
	}
	assert_non_null(f->conn);
	f->dev = vhost_user_blk_create(f->conn, &f->d.mem, f->d.loop, &err);
	assert_non_null(f->dev);
	fake_attach(&f->d, f->dev);
}

static void create(struct fixture *f)
{
	create_for(f, LONG_MS);
}

static int prepare(void **state)
{
	struct fixture *f = &fixture;

	memset(f, 0, sizeof(*f));
	fake_init(&f->d);
	f->header = fake_alloc(&f->d, 16, 16);
	f->data = fake_alloc(&f->d, 512, 16);
	f->status = fake_alloc(&f->d, 256, 16);
	fake_backend_init(&f->b);
	f->b.ram = f->d.ram;
	*state = f;
	return 0;
}

static int setup(void **state)
{
	prepare(state);
	create(*state);
	return 0;
}

static int setup_short(void **state)
{
	prepare(state);
	create_for(*state, SHORT_MS);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	virtio_device_destroy(f->dev);
	virtio_device_destroy(NULL);
	vhost_user_destroy(f->conn);
	fake_backend_stop(&f->b);
	fake_fini(&f->d);
	return 0;
}

/* Up, and all of it known to the back-end. */
static void start(struct fixture *f, uint64_t features)
{
	fake_start(&f->d, features, ENTRIES);
	for (unsigned i = 0; i < f->dev->queue_count; i++)
		fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, i + 1);
	fake_run_loop(&f->d);
	fake_interrupts(&f->d);
}

/* A read; two descriptors, so that there is room for four. */
static uint16_t submit(struct fixture *f)
{
	uint16_t head = f->d.queues[0].next_desc;
	struct fake_buffer b[] = { { f->header, 16 }, { f->status + head, 1 } };

	*(uint8_t *)fake_ptr(&f->d, f->status + head) = 0xff;
	fake_add(&f->d, 0, b, 1, 1);
	fake_kick(&f->d, 0);
	return head;
}

static uint8_t status_of(struct fixture *f, uint16_t head)
{
	return *(uint8_t *)fake_ptr(&f->d, f->status + head);
}

/* Lets the loop run until the driver has got so many. */
static void run_until_used(struct fixture *f, uint16_t idx)
{
	for (int i = 0; i < 30000 && fake_used_idx(&f->d, 0) != idx; i++) {
		fake_run_loop(&f->d);
		usleep(1000);
	}
	assert_int_equal(fake_used_idx(&f->d, 0), idx);
}

/* Until the loop has noticed that the back-end is gone, or there again. */
static void run_until_ready(struct fixture *f, bool ready)
{
	for (int i = 0; i < 30000 && vhost_user_is_ready(f->conn) != ready;
	     i++) {
		fake_run_loop(&f->d);
		usleep(1000);
	}
	assert_int_equal(vhost_user_is_ready(f->conn), ready);
}

static void die(struct fixture *f)
{
	fake_backend_stop(&f->b);
	run_until_ready(f, false);
}

static void come_back(struct fixture *f)
{
	f->b.again = true;
	fake_backend_listen(&f->b);
	run_until_ready(f, true);
}

/* --- a good back-end --- */

static void the_driver_sees_what_the_back_end_offers(void **state)
{
	struct fixture *f = *state;
	uint32_t low;

	fake_write(&f->d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	low = fake_read(&f->d, VIRTIO_MMIO_DEVICE_FEATURES);
	assert_int_equal(low, 1u << VIRTIO_RING_F_INDIRECT_DESC |
				      1u << VIRTIO_RING_F_EVENT_IDX |
				      1u << VIRTIO_BLK_F_FLUSH |
				      1u << VIRTIO_BLK_F_CONFIG_WCE);
	fake_write(&f->d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_DEVICE_FEATURES), 1);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_DEVICE_ID), 2);
	assert_int_equal(fake_config(&f->d, 0, 8), 0x4746454443424140);
	assert_int_equal(fake_config(&f->d, 35, 1), 0);
	/* 34, the number of queues, is ours to tell */
	assert_int_equal(fake_config(&f->d, 34, 2), 1);
}

static void rings_are_handed_over_when_the_driver_is_up(void **state)
{
	struct fixture *f = *state;
	const struct fake_queue *q = &f->d.queues[0];

	start(f, FLUSH);
	assert_int_equal(f->b.features_set,
			 FLUSH | 1ULL << VIRTIO_F_VERSION_1 |
				 1ULL << VHOST_F_PROTOCOL_FEATURES);
	assert_int_equal(f->b.memory.regions[0].address, FAKE_RAM_BASE);
	assert_int_equal(f->b.rings[0].size, ENTRIES);
	assert_int_equal(f->b.rings[0].base, 0);
	assert_int_equal(f->b.rings[0].desc, q->desc);
	assert_int_equal(f->b.rings[0].avail, q->avail);
	assert_int_equal(f->b.rings[0].used, q->used);
	/* one for what may be there already */
	assert_int_equal(fake_backend_kicks(&f->b, 0), 1);
}

static void kicks_reach_the_back_end_and_calls_the_driver(void **state)
{
	struct fixture *f = *state;
	uint16_t head;
	uint32_t used, len;

	start(f, 0);
	fake_backend_kicks(&f->b, 0);
	head = submit(f);
	assert_int_equal(fake_backend_kicks(&f->b, 0), 1);
	fake_run_loop(&f->d);
	assert_int_equal(fake_interrupts(&f->d), 0);
	fake_backend_use(&f->b, 0, head, 1);
	fake_run_loop(&f->d);
	assert_int_equal(fake_interrupts(&f->d), 1);
	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS),
			 VIRTIO_MMIO_INT_VRING);
	assert_true(fake_get_used(&f->d, 0, &used, &len));
	assert_int_equal(used, head);
	/* and each call is one, though nobody reads the counter */
	submit(f);
	fake_backend_use(&f->b, 0, 2, 1);
	fake_run_loop(&f->d);
	assert_int_equal(fake_interrupts(&f->d), 1);
	fake_run_loop(&f->d);
	assert_int_equal(fake_interrupts(&f->d), 0);
}

static int ioevent_fd;

static int attach_kick(void *ctx, uint64_t addr, uint32_t datum, int fd)
{
	(void)ctx;
	(void)addr;
	(void)datum;
	ioevent_fd = fd;
	return 0;
}

static void detach_kick(void *ctx, uint64_t addr, uint32_t datum, int fd)
{
	(void)ctx;
	(void)addr;
	(void)datum;
	assert_int_equal(ioevent_fd, fd);
	ioevent_fd = -1;
}

static const struct ioeventfd_ops ioeventfds = { attach_kick, detach_kick };

static void the_ioeventfd_is_the_back_ends_kick(void **state)
{
	struct fixture *f = *state;
	struct virtio_mmio_config config = {
		.base = FAKE_MMIO_BASE,
		.irq = { f->d.irq_fd },
		.ioeventfds = &ioeventfds,
	};
	uint64_t three = 3;
	struct error err;

	virtio_mmio_destroy(f->d.mmio);
	f->d.mmio = virtio_mmio_create(f->dev, &config, &err);
	f->d.bus.ranges[0].dev = f->d.mmio;
	start(f, 0);
	fake_backend_kicks(&f->b, 0);
	assert_int_equal(write(ioevent_fd, &three, 8), 8);
	fake_run_loop(&f->d);
	assert_int_equal(fake_backend_kicks(&f->b, 0), 3);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(ioevent_fd, -1);
}

/* What a back-end kept is of no use to it once it is gone. */
static void a_back_end_that_is_gone_gets_no_kicks(void **state)
{
	struct fixture *f = *state;
	struct virtio_mmio_config config = {
		.base = FAKE_MMIO_BASE,
		.irq = { f->d.irq_fd },
		.ioeventfds = &ioeventfds,
	};
	const uint64_t full = UINT64_MAX - 1;
	uint64_t count;
	struct error err;
	int kept;

	virtio_mmio_destroy(f->d.mmio);
	f->d.mmio = virtio_mmio_create(f->dev, &config, &err);
	f->d.bus.ranges[0].dev = f->d.mmio;
	start(f, 0);
	/* it fills the counter, and has whoever adds to that wait */
	kept = dup(f->b.rings[0].kick);
	assert_int_equal(read(kept, &count, 8), 8);
	assert_int_equal(write(kept, &full, 8), 8);
	assert_int_equal(fcntl(kept, F_SETFL, 0), 0);
	die(f);
	alarm(20);
	come_back(f);
	fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, 2);
	assert_int_equal(fake_backend_kicks(&f->b, 0), 1);
	assert_int_equal(write(ioevent_fd, &(uint64_t){ 1 }, 8), 8);
	assert_int_equal(fake_backend_kicks(&f->b, 0), 1);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(ioevent_fd, -1);
	alarm(0);
	close(kept);
}

/* Kicks that come by the register are given on to one that is there. */
static void a_full_counter_makes_no_kick_wait(void **state)
{
	struct fixture *f = *state;
	const uint64_t full = UINT64_MAX - 1;
	uint64_t count;
	int kick;

	start(f, 0);
	kick = f->b.rings[0].kick;
	assert_int_equal(read(kick, &count, 8), 8);
	assert_int_equal(write(kick, &full, 8), 8);
	assert_int_equal(fcntl(kick, F_SETFL, 0), 0);
	alarm(20);
	fake_kick(&f->d, 0);
	alarm(0);
}

static int setup_queues(void **state)
{
	struct fixture *f;

	prepare(state);
	f = *state;
	f->b.features |= 1ULL << VIRTIO_BLK_F_MQ;
	f->b.queues = 3;
	set_num_queues(&f->b, 4);
	create(f);
	return 0;
}

static void there_are_as_many_queues_as_the_back_end_serves(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->dev->queue_count, 3);
	assert_int_equal(fake_config(&f->d, 34, 2), 3);
	start(f, 0);
	assert_int_equal(f->b.counts[VHOST_SET_VRING_ADDR_MSG], 3);
}

static void queues_that_the_driver_leaves_alone_stay_ours(void **state)
{
	struct fixture *f = *state;

	fake_negotiate(&f->d, 0);
	fake_setup_queue(&f->d, 1, ENTRIES);
	fake_driver_ok(&f->d);
	fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, 1);
	assert_int_equal(f->b.rings[0].size, 0);
	assert_int_equal(f->b.rings[1].size, ENTRIES);
	fake_kick(&f->d, 0);
	fake_kick(&f->d, 7);
	die(f);
	come_back(f);
	fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, 2);
	assert_int_equal(f->b.rings[0].size, 0);
}

static void one_queue_can_be_stopped_alone(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, 1);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(f->b.counts[VHOST_GET_VRING_BASE_MSG], 1);
	assert_true(f->b.rings[1].stopped);
	assert_false(f->b.rings[0].stopped);
	fake_kick(&f->d, 1);
	/* the others go on */
	submit(f);
	fake_backend_use(&f->b, 0, 0, 1);
	fake_interrupts(&f->d);
	fake_run_loop(&f->d);
	assert_int_equal(fake_interrupts(&f->d), 1);
}

/* The others, whose calls were not watched for so long. */
static void a_loss_while_one_queue_stops_is_none_for_good(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	f->b.bad_request = VHOST_GET_VRING_BASE_MSG;
	f->b.bad_count = 1;
	f->b.mischief = FAKE_DIES;
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, 1);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_false(vhost_user_is_ready(f->conn));
	fake_backend_stop(&f->b);
	f->b.bad_request = 0;
	come_back(f);
	fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, 5);
	fake_run_loop(&f->d);
	submit(f);
	fake_interrupts(&f->d);
	fake_backend_use(&f->b, 0, 0, 1);
	fake_run_loop(&f->d);
	assert_int_equal(fake_interrupts(&f->d), 1);
}

static void
a_reset_takes_the_rings_back_and_they_can_be_given_again(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 1; i <= 3; i++) {
		fake_start(&f->d, 0, ENTRIES);
		fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, i);
		assert_false(f->b.rings[0].stopped);
		fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
		assert_int_equal(f->b.counts[VHOST_GET_VRING_BASE_MSG], i);
		assert_true(f->b.rings[0].stopped);
	}
	assert_false(fake_needs_reset(&f->d));
}

static void a_reset_at_once_waits_for_what_was_begun(void **state)
{
	struct fixture *f = *state;

	fake_start(&f->d, 0, ENTRIES);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	assert_true(f->b.rings[0].stopped);
	assert_true(vhost_user_is_ready(f->conn));
}

static void *use_later(void *arg)
{
	struct fixture *f = arg;
	uint16_t *used = fake_backend_ptr(&f->b, f->b.rings[0].used);

	/* it has answered, and with that closed its eventfds */
	fake_backend_wait(&f->b, VHOST_GET_VRING_BASE_MSG, 1);
	usleep(5000);
	__atomic_store_n(&used[1], 1, __ATOMIC_RELEASE);
	return NULL;
}

/* One that it has in hand still writes to memory. */
static void a_reset_waits_for_what_the_back_end_took(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	start(f, 0);
	submit(f);
	f->b.rings[0].base = 1; /* it took that */
	pthread_create(&thread, NULL, use_later, f);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(fake_used_idx(&f->d, 0), 1);
	pthread_join(thread, NULL);
}

static void but_not_for_ever(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	f->b.rings[0].base = 5;
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	start(f, 0);
}

/* --- hostile drivers --- */

static void rings_outside_memory_never_reach_the_back_end(void **state)
{
	static const struct {
		unsigned reg;
		uint32_t value;
	} bad[] = {
		{ VIRTIO_MMIO_QUEUE_DESC_HIGH, 0xffffffff },
		{ VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0xfffffffe },
		{ VIRTIO_MMIO_QUEUE_USED_LOW,
		  (uint32_t)FAKE_RAM_BASE + FAKE_RAM_SIZE - 8 },
		{ VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)FAKE_RAM_BASE + 8 },
		{ VIRTIO_MMIO_QUEUE_NUM, 0 },
		{ VIRTIO_MMIO_QUEUE_NUM, 3 },
		{ VIRTIO_MMIO_QUEUE_NUM, 256 },
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		fake_negotiate(&f->d, 0);
		fake_setup_queue(&f->d, 0, ENTRIES);
		fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
		fake_write(&f->d, bad[i].reg, bad[i].value);
		fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 1);
		fake_driver_ok(&f->d);
		assert_true(fake_needs_reset(&f->d));
		fake_kick(&f->d, 0);
		fake_run_loop(&f->d);
	}
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	start(f, 0);
	/* the last one, which is good */
	assert_int_equal(f->b.counts[VHOST_SET_VRING_ADDR_MSG], 1);
	assert_int_equal(f->b.counts[VHOST_SET_MEM_TABLE_MSG], 1);
}

static void features_that_are_not_offered_are_refused(void **state)
{
	struct fixture *f = *state;

	assert_false(fake_negotiate(&f->d, 1ULL << VIRTIO_BLK_F_DISCARD));
	assert_false(fake_negotiate(&f->d, 1ULL << VHOST_F_PROTOCOL_FEATURES));
	start(f, 0);
}

static void kicks_in_any_state_do_no_harm(void **state)
{
	struct fixture *f = *state;

	fake_kick(&f->d, 0);
	fake_negotiate(&f->d, 0);
	fake_kick(&f->d, 0);
	fake_driver_ok(&f->d); /* without a queue */
	fake_kick(&f->d, 0);
	fake_run_loop(&f->d);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	start(f, 0);
	die(f);
	for (int i = 0; i < 100; i++)
		fake_kick(&f->d, 0);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, 0), 0);
}

static void only_the_cache_mode_can_be_written(void **state)
{
	struct fixture *f = *state;
	uint8_t data[8] = { 1 };
	uint64_t wce = FAKE_MMIO_BASE + VIRTIO_MMIO_CONFIG +
		       offsetof(struct virtio_blk_config, wce);

	bus_write(&f->d.bus, wce, data, 1); /* not negotiated */
	start(f, 1ULL << VIRTIO_BLK_F_CONFIG_WCE);
	bus_write(&f->d.bus, wce, data, 2);
	bus_write(&f->d.bus, wce - 8, data, 8);
	bus_write(&f->d.bus, wce + 1, data, 1);
	bus_write(&f->d.bus, wce + 1000, data, 1);
	bus_write(&f->d.bus, wce, data, 1);
	fake_backend_wait(&f->b, VHOST_SET_CONFIG_MSG, 1);
	assert_int_equal(f->b.config_written.data[0], 1);
	assert_int_equal(fake_config(&f->d, 32, 1), 1);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(f->b.counts[VHOST_SET_CONFIG_MSG], 1);
}

/* --- loss --- */

static void what_was_under_way_fails_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	uint16_t heads[4];
	uint32_t used, len;
	unsigned failed = 0;

	start(f, 0);
	for (int i = 0; i < 4; i++)
		heads[i] = submit(f);
	/* the last two end first */
	fake_backend_use(&f->b, 0, heads[3], 1);
	fake_backend_use(&f->b, 0, heads[2], 1);
	fake_run_loop(&f->d);
	assert_int_equal(fake_interrupts(&f->d), 1);
	for (int i = 3; i >= 2; i--) {
		assert_true(fake_get_used(&f->d, 0, &used, &len));
		assert_int_equal(used, heads[i]);
	}
	die(f);
	assert_int_equal(fake_interrupts(&f->d) > 0, 1);
	while (fake_get_used(&f->d, 0, &used, &len)) {
		assert_int_equal(len, 1);
		failed |= 1u << used;
	}
	assert_int_equal(failed, 1u << heads[0] | 1u << heads[1]);
	assert_int_equal(status_of(f, heads[0]), VIRTIO_BLK_S_IOERR);
	assert_int_equal(status_of(f, heads[1]), VIRTIO_BLK_S_IOERR);
	assert_int_equal(status_of(f, heads[2]), 0xff);
	assert_false(fake_needs_reset(&f->d));
}

static void what_ended_without_a_call_did_end(void **state)
{
	struct fixture *f = *state;
	uint16_t *used;
	uint16_t head;

	start(f, 0);
	head = submit(f);
	used = fake_backend_ptr(&f->b, f->b.rings[0].used);
	memcpy(&used[2], &(uint32_t[]){ head, 1 }, 8);
	used[1] = 1;
	die(f);
	assert_int_equal(fake_used_idx(&f->d, 0), 1);
	assert_int_equal(status_of(f, head), 0xff);
	/* the driver hears of it */
	assert_true(fake_interrupts(&f->d) > 0);
}

static void requests_fail_at_once_while_there_is_no_back_end(void **state)
{
	struct fixture *f = *state;
	uint16_t head;

	start(f, 1ULL << VIRTIO_RING_F_EVENT_IDX);
	die(f);
	for (uint16_t i = 0; i < 1000; i++) {
		head = submit(f);
		fake_run_loop(&f->d);
		assert_int_equal(fake_used_idx(&f->d, 0), i + 1);
		assert_int_equal(status_of(f, head), VIRTIO_BLK_S_IOERR);
	}
}

static void a_driver_that_comes_up_meanwhile_gets_errors_too(void **state)
{
	struct fixture *f = *state;
	uint16_t head;

	die(f);
	/* with a request that is there before it is up */
	fake_negotiate(&f->d, 0);
	fake_setup_queue(&f->d, 0, ENTRIES);
	head = submit(f);
	fake_driver_ok(&f->d);
	run_until_used(f, 1);
	assert_int_equal(status_of(f, head), VIRTIO_BLK_S_IOERR);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	fake_start(&f->d, 0, ENTRIES);
	submit(f);
	run_until_used(f, 1);
	/* and the disk, when it is there again */
	come_back(f);
	fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, 1);
	assert_int_equal(f->b.rings[0].base, 1);
}

static void one_that_comes_back_goes_on_where_the_last_one_was(void **state)
{
	struct fixture *f = *state;
	uint16_t head;
	uint32_t used, len;

	start(f, 0);
	for (int i = 0; i < 3; i++)
		submit(f);
	fake_backend_use(&f->b, 0, 2, 1);
	die(f);
	submit(f);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, 0), 4);
	while (fake_get_used(&f->d, 0, &used, &len))
		;
	come_back(f);
	fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, 2);
	assert_int_equal(f->b.rings[0].base, 4);
	assert_true(fake_backend_kicks(&f->b, 0) > 0);
	head = submit(f);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, 0), 4);
	assert_int_equal(fake_backend_kicks(&f->b, 0), 1);
	*(uint8_t *)fake_ptr(&f->d, f->status + head) = 0;
	fake_backend_use(&f->b, 0, head, 1);
	fake_interrupts(&f->d);
	fake_run_loop(&f->d);
	assert_int_equal(fake_interrupts(&f->d), 1);
	/* it may die again */
	submit(f);
	die(f);
	assert_int_equal(fake_used_idx(&f->d, 0), 6);
}

/* A driver that sees by itself what ended, and gives a ring's worth and more
 * before anybody looks. */
static void what_cannot_be_known_asks_for_a_reset(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	submit(f);
	for (int i = 0; i < 2 * ENTRIES; i++) {
		fake_make_available(&f->d, 0, 2);
		fake_backend_use(&f->b, 0, 2, 1);
	}
	die(f);
	assert_true(fake_needs_reset(&f->d));
	assert_true(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS) &
		    VIRTIO_MMIO_INT_CONFIG);
	come_back(f);
	fake_run_loop(&f->d);
	assert_int_equal(f->b.counts[VHOST_SET_VRING_ADDR_MSG], 1);
	/* after which all is well */
	fake_start(&f->d, 0, ENTRIES);
	fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, 2);
	assert_false(fake_needs_reset(&f->d));
}

static void a_bad_request_that_was_under_way_breaks_the_device(void **state)
{
	struct fixture *f = *state;

	start(f, 1ULL << VIRTIO_RING_F_INDIRECT_DESC);
	fake_desc(&f->d, f->d.queues[0].desc, 3, 0xffffffff0000, 64,
		  FAKE_INDIRECT, 0);
	fake_make_available(&f->d, 0, 3);
	die(f);
	assert_true(fake_needs_reset(&f->d));
}

static void requests_without_room_for_a_status_end_as_well(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer b = { f->header, 16 };

	start(f, 0);
	fake_add(&f->d, 0, &b, 1, 0);
	die(f);
	fake_add(&f->d, 0, &b, 1, 0);
	fake_kick(&f->d, 0);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, 0), 2);
	assert_false(fake_needs_reset(&f->d));
}

static void a_broken_ring_without_back_end_breaks_the_device(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	die(f);
	fake_set_avail_idx(&f->d, 0, 5000);
	fake_kick(&f->d, 0);
	fake_run_loop(&f->d);
	assert_true(fake_needs_reset(&f->d));
}

static void a_lesser_one_is_not_taken(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	die(f);
	f->b.features &= ~FLUSH;
	memset(f->b.counts, 0, sizeof(f->b.counts));
	fake_backend_listen(&f->b);
	for (int i = 0; i < 30000 && !f->b.counts[VHOST_GET_CONFIG_MSG]; i++) {
		fake_run_loop(&f->d);
		usleep(1000);
	}
	fake_run_loop(&f->d);
	usleep(1000);
	fake_run_loop(&f->d);
	assert_int_equal(f->b.counts[VHOST_SET_FEATURES_MSG], 0);
	submit(f);
	fake_run_loop(&f->d);
	assert_int_equal(fake_used_idx(&f->d, 0), 1);
	fake_backend_stop(&f->b);
	f->b.features |= FLUSH;
	come_back(f);
}

static void another_size_is_told_to_the_driver(void **state)
{
	struct fixture *f = *state;
	uint32_t generation;

	start(f, 0);
	generation = fake_read(&f->d, VIRTIO_MMIO_CONFIG_GENERATION);
	die(f);
	f->b.config[0]++;
	fake_write(&f->d, VIRTIO_MMIO_INTERRUPT_ACK, 3);
	come_back(f);
	assert_int_equal(fake_config(&f->d, 0, 1), 0x41);
	assert_true(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS) &
		    VIRTIO_MMIO_INT_CONFIG);
	assert_int_not_equal(fake_read(&f->d, VIRTIO_MMIO_CONFIG_GENERATION),
			     generation);
}

static void a_change_of_size_is_told_to_the_driver(void **state)
{
	struct fixture *f = *state;
	const struct vhost_msg_header changed = {
		VHOST_BACKEND_CONFIG_CHANGE_MSG, VHOST_MSG_VERSION, 0
	};

	start(f, 0);
	f->b.config[7] = 0;
	assert_int_equal(send(f->b.back_fd, &changed, sizeof(changed), 0),
			 sizeof(changed));
	for (int i = 0; i < 30000 && fake_config(&f->d, 7, 1); i++) {
		fake_run_loop(&f->d);
		usleep(1000);
	}
	assert_int_equal(fake_config(&f->d, 7, 1), 0);
	assert_true(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS) &
		    VIRTIO_MMIO_INT_CONFIG);
}

/* --- bad back-ends --- */

static void one_that_fails_at_hand_over_is_as_good_as_dead(void **state)
{
	static const uint32_t steps[] = {
		VHOST_SET_FEATURES_MSG,	  VHOST_SET_MEM_TABLE_MSG,
		VHOST_SET_VRING_NUM_MSG,  VHOST_SET_VRING_BASE_MSG,
		VHOST_SET_VRING_ADDR_MSG, VHOST_SET_VRING_CALL_MSG,
		VHOST_SET_VRING_KICK_MSG, VHOST_SET_VRING_ENABLE_MSG,
	};
	static const enum fake_mischief hows[] = { FAKE_DIES, FAKE_SILENT,
						   FAKE_REFUSES, FAKE_SHORT };

	for (unsigned i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		for (unsigned j = 0; j < 4; j++) {
			struct fixture *f;
			uint16_t head;

			teardown(state);
			if (hows[j] == FAKE_SILENT)
				setup_short(state);
			else
				setup(state);
			f = *state;
			f->b.bad_request = steps[i];
			f->b.mischief = hows[j];
			fake_start(&f->d, 0, ENTRIES);
			head = submit(f);
			run_until_used(f, 1);
			assert_int_equal(status_of(f, head),
					 VIRTIO_BLK_S_IOERR);
			assert_false(fake_needs_reset(&f->d));
			/* a better one gets the rings */
			fake_backend_stop(&f->b);
			f->b.bad_request = 0;
			come_back(f);
			run_until_ready(f, true);
			submit(f);
			fake_run_loop(&f->d);
			assert_int_equal(fake_used_idx(&f->d, 0), 1);
		}
	}
}

static void one_that_does_not_stop_is_cut_off(void **state)
{
	struct fixture *f = *state;

	f->b.bad_request = VHOST_GET_VRING_BASE_MSG;
	f->b.mischief = FAKE_SILENT;
	start(f, 0);
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
	assert_false(vhost_user_is_ready(f->conn));
	fake_start(&f->d, 0, ENTRIES);
	submit(f);
	run_until_used(f, 1);
}

static void with_one_queue_that_does_not_stop_the_others_fail(void **state)
{
	struct fixture *f = *state;
	uint16_t head;

	f->b.bad_request = VHOST_GET_VRING_BASE_MSG;
	f->b.mischief = FAKE_DIES;
	start(f, 0);
	head = submit(f);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, 1);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(status_of(f, head), VIRTIO_BLK_S_IOERR);
	assert_int_equal(fake_used_idx(&f->d, 0), 1);
	fake_backend_stop(&f->b);
	f->b.bad_request = 0;
	come_back(f);
	/* and the stopped one stays so */
	fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, 5);
}

static void the_connection_serves_the_next_boot(void **state)
{
	struct fixture *f = *state;
	struct error err;

	start(f, 0);
	fake_detach(&f->d);
	virtio_device_destroy(f->dev);
	assert_true(f->b.rings[0].stopped);
	f->dev = vhost_user_blk_create(f->conn, &f->d.mem, f->d.loop, &err);
	assert_non_null(f->dev);
	fake_attach(&f->d, f->dev);
	fake_start(&f->d, 0, ENTRIES);
	fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, 2);
	assert_int_equal(f->b.counts[VHOST_SET_OWNER_MSG], 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_SHORT(name) \
	cmocka_unit_test_setup_teardown(name, setup_short, teardown)
#define TEST_QUEUES(name) \
	cmocka_unit_test_setup_teardown(name, setup_queues, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_driver_sees_what_the_back_end_offers),
		TEST(rings_are_handed_over_when_the_driver_is_up),
		TEST(kicks_reach_the_back_end_and_calls_the_driver),
		TEST(the_ioeventfd_is_the_back_ends_kick),
		TEST(a_back_end_that_is_gone_gets_no_kicks),
		TEST(a_full_counter_makes_no_kick_wait),
		TEST_QUEUES(there_are_as_many_queues_as_the_back_end_serves),
		TEST_QUEUES(queues_that_the_driver_leaves_alone_stay_ours),
		TEST_QUEUES(one_queue_can_be_stopped_alone),
		TEST_QUEUES(a_loss_while_one_queue_stops_is_none_for_good),
		TEST(a_reset_takes_the_rings_back_and_they_can_be_given_again),
		TEST(a_reset_at_once_waits_for_what_was_begun),
		TEST(a_reset_waits_for_what_the_back_end_took),
		TEST_SHORT(but_not_for_ever),
		TEST(rings_outside_memory_never_reach_the_back_end),
		TEST(features_that_are_not_offered_are_refused),
		TEST(kicks_in_any_state_do_no_harm),
		TEST(only_the_cache_mode_can_be_written),
		TEST(what_was_under_way_fails_and_nothing_else),
		TEST(what_ended_without_a_call_did_end),
		TEST(requests_fail_at_once_while_there_is_no_back_end),
		TEST(a_driver_that_comes_up_meanwhile_gets_errors_too),
		TEST(one_that_comes_back_goes_on_where_the_last_one_was),
		TEST(what_cannot_be_known_asks_for_a_reset),
		TEST(a_bad_request_that_was_under_way_breaks_the_device),
		TEST(requests_without_room_for_a_status_end_as_well),
		TEST(a_broken_ring_without_back_end_breaks_the_device),
		TEST(a_lesser_one_is_not_taken),
		TEST(another_size_is_told_to_the_driver),
		TEST(a_change_of_size_is_told_to_the_driver),
		TEST(one_that_fails_at_hand_over_is_as_good_as_dead),
		TEST_SHORT(one_that_does_not_stop_is_cut_off),
		TEST_QUEUES(with_one_queue_that_does_not_stop_the_others_fail),
		TEST(the_connection_serves_the_next_boot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
