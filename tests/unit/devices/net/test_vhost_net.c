/* A network device whose queues the kernel serves; the kernel is a fake, as
 * strict as the real one. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/wake.h"
#include "devices/net/vhost_net.h"
#include "devices/virtio/virtio_state.h"
#include "tests/fake_driver.h"

#define ENTRIES 8
#define RX 0
#define TX 1
#define STATUS 6 /* in configuration space */
#define TAP_FD 1000

#define BIT(feature) (1ULL << (feature))
#define RING_FEATURES \
	(BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX))
#define OFFLOADS                                                 \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | \
	 BIT(VIRTIO_NET_F_GUEST_TSO4))

struct fake_ring {
	struct vhost_vring_addr addr;
	unsigned size, base;
	int kick, call, error; /* its own descriptors, -1: none */
	int tap;	       /* -1: not served */
	unsigned starts, stops;
};

struct fake_kernel {
	uint64_t features;
	bool owned;
	uint64_t features_set;
	unsigned region_count;
	struct vhost_memory_region regions[GUEST_REGIONS_MAX];
	struct fake_ring rings[2];
	unsigned long fail; /* request that fails; 0: none */
	unsigned fail_ring; /* for which of the rings, if it is of one */
	uint64_t offloads;  /* the tap's */
	int offloads_result;
};

struct fixture {
	struct fake_driver d;
	struct vhost_kernel kernel;
	struct net_backend backend;
	struct virtio_device *dev;
};

static struct fake_kernel fake;
static struct fixture fixture;

/* --- the fake --- */

static void replace(int *slot, int fd)
{
	if (*slot >= 0)
		close(*slot);
	*slot = fd < 0 ? -1 : dup(fd);
}

static int set_tap(struct fake_ring *ring, int fd)
{
	if (!fake.region_count || !ring->addr.desc_user_addr)
		return -EFAULT;
	if (fd >= 0)
		ring->starts++;
	else
		ring->stops++;
	ring->tap = fd;
	return 0;
}

static int set_memory(const struct vhost_memory *memory)
{
	if (memory->padding)
		return -EOPNOTSUPP;
	assert_true(memory->nregions <= GUEST_REGIONS_MAX);
	fake.region_count = memory->nregions;
	memcpy(fake.regions, memory->regions,
	       memory->nregions * sizeof(fake.regions[0]));
	return 0;
}

static int control_ring(unsigned long request, void *arg)
{
	/* the ring's number comes first in all of them */
	const struct vhost_vring_state *state = arg;
	const struct vhost_vring_file *file = arg;
	struct fake_ring *ring;

	if (state->index > 1)
		return -ENOBUFS;
	if (fake.fail == request && state->index == fake.fail_ring)
		return -ENOMEM;
	ring = &fake.rings[state->index];
	switch (request) {
	case VHOST_SET_VRING_NUM:
		ring->size = state->num;
		return ring->tap < 0 ? 0 : -EBUSY;
	case VHOST_SET_VRING_BASE:
		ring->base = state->num;
		return ring->tap < 0 ? 0 : -EBUSY;
	case VHOST_GET_VRING_BASE:
		((struct vhost_vring_state *)arg)->num = ring->base;
		return ring->tap < 0 ? 0 : -EBUSY;
	case VHOST_SET_VRING_ADDR:
		ring->addr = *(const struct vhost_vring_addr *)arg;
		return 0;
	case VHOST_SET_VRING_KICK:
		replace(&ring->kick, file->fd);
		return 0;
	case VHOST_SET_VRING_CALL:
		replace(&ring->call, file->fd);
		return 0;
	case VHOST_SET_VRING_ERR:
		replace(&ring->error, file->fd);
		return 0;
	case VHOST_NET_SET_BACKEND:
		return set_tap(ring, file->fd);
	}
	return -ENOTTY;
}

static int control(int fd, unsigned long request, void *arg)
{
	(void)fd;
	if (request == fake.fail &&
	    _IOC_NR(request) < _IOC_NR(VHOST_SET_VRING_NUM))
		return -ENOMEM;
	if (request != VHOST_SET_OWNER && request != VHOST_GET_FEATURES &&
	    !fake.owned)
		return -EPERM;
	switch (request) {
	case VHOST_SET_OWNER:
		if (fake.owned)
			return -EBUSY;
		fake.owned = true;
		return 0;
	case VHOST_GET_FEATURES:
		*(uint64_t *)arg = fake.features;
		return 0;
	case VHOST_SET_FEATURES:
		fake.features_set = *(const uint64_t *)arg;
		return fake.features_set & ~fake.features ? -EOPNOTSUPP : 0;
	case VHOST_SET_MEM_TABLE:
		return set_memory(arg);
	}
	return control_ring(request, arg);
}

static int set_offloads(struct net_backend *backend, uint64_t features)
{
	(void)backend;
	fake.offloads = features;
	return fake.offloads_result;
}

static const struct net_backend_ops tap_ops = { .set_offloads = set_offloads };

/* How often it was woken since the last look. */
static uint64_t taken(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) < 0 ? 0 : count;
}

/* --- */

static int prepare(void **state)
{
	struct fixture *f = &fixture;

	memset(f, 0, sizeof(*f));
	memset(&fake, 0, sizeof(fake));
	for (int i = 0; i < 2; i++)
		fake.rings[i].kick = fake.rings[i].call = fake.rings[i].error =
			fake.rings[i].tap = -1;
	/* two more than the driver may know of: VHOST_NET_F_VIRTIO_NET_HDR
	 * and VIRTIO_F_NOTIFY_ON_EMPTY */
	fake.features = RING_FEATURES | BIT(VIRTIO_F_VERSION_1) |
			BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(27) | BIT(24);
	f->kernel.control = control;
	f->backend.ops = &tap_ops;
	f->backend.fd = TAP_FD;
	f->backend.features = OFFLOADS;
	fake_init(&f->d);
	*state = f;
	return 0;
}

static void create(struct fixture *f, uint16_t mtu)
{
	const struct vhost_net_options options = {
		.kernel = &f->kernel,
		.backend = &f->backend,
		.mac = { 2, 1, 2, 3, 4, 5 },
		.mtu = mtu,
	};
	struct error err;

	assert_int_equal(
		vhost_kernel_init(&f->kernel, open("/dev/null", O_RDWR)), 0);
	f->dev = vhost_net_create(&options, &f->d.mem, f->d.loop, &err);
	assert_non_null(f->dev);
	fake_attach(&f->d, f->dev);
}

static int setup(void **state)
{
	prepare(state);
	create(*state, 1400);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_detach(&f->d);
	/* whatever was before, nothing is served any more */
	assert_int_equal(fake.rings[RX].tap, -1);
	assert_int_equal(fake.rings[TX].tap, -1);
	virtio_device_destroy(f->dev);
	virtio_device_destroy(NULL);
	vhost_kernel_close(&f->kernel);
	vhost_kernel_close(&f->kernel);
	fake_fini(&f->d);
	for (int i = 0; i < 2; i++) {
		replace(&fake.rings[i].kick, -1);
		replace(&fake.rings[i].call, -1);
		replace(&fake.rings[i].error, -1);
	}
	return 0;
}

static void start(struct fixture *f, uint64_t features)
{
	fake_start(&f->d, features, ENTRIES);
	assert_false(fake_needs_reset(&f->d));
}

static void reset(struct fixture *f)
{
	fake_write(&f->d, VIRTIO_MMIO_STATUS, 0);
}

static uint64_t offered(struct fixture *f)
{
	uint64_t low;

	fake_write(&f->d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	low = fake_read(&f->d, VIRTIO_MMIO_DEVICE_FEATURES);
	fake_write(&f->d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	return low | (uint64_t)fake_read(&f->d, VIRTIO_MMIO_DEVICE_FEATURES)
			     << 32;
}

/* --- what is offered and taken --- */

static void the_driver_gets_what_kernel_and_tap_can_do(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_DEVICE_ID), 1);
	assert_int_equal(offered(f), RING_FEATURES | BIT(VIRTIO_F_VERSION_1) |
					     OFFLOADS |
					     BIT(VIRTIO_NET_F_MRG_RXBUF) |
					     BIT(VIRTIO_NET_F_MAC) |
					     BIT(VIRTIO_NET_F_STATUS) |
					     BIT(VIRTIO_NET_F_MTU));
	assert_int_equal(fake_config(&f->d, 0, 4), 0x03020102);
	assert_int_equal(fake_config(&f->d, 4, 2), 0x0504);
	assert_int_equal(fake_config(&f->d, STATUS, 2), VIRTIO_NET_S_LINK_UP);
	assert_int_equal(fake_config(&f->d, 10, 2), 1400);
}

static void an_older_kernel_offers_less(void **state)
{
	struct fixture *f = *state;

	fake.features = BIT(VIRTIO_F_VERSION_1);
	f->backend.features = 0;
	create(f, 0);
	assert_int_equal(offered(f), BIT(VIRTIO_F_VERSION_1) |
					     BIT(VIRTIO_NET_F_MAC) |
					     BIT(VIRTIO_NET_F_STATUS));
	start(f, 0);
	assert_int_equal(fake.features_set, BIT(VIRTIO_F_VERSION_1));
}

static void kernel_and_tap_are_told_what_the_driver_took(void **state)
{
	struct fixture *f = *state;
	uint64_t all = offered(f);

	start(f, all);
	assert_int_equal(fake.features_set,
			 RING_FEATURES | BIT(VIRTIO_F_VERSION_1) |
				 BIT(VIRTIO_NET_F_MRG_RXBUF));
	assert_int_equal(fake.offloads & OFFLOADS, OFFLOADS);
	/* and another driver takes less */
	start(f, BIT(VIRTIO_NET_F_GUEST_CSUM));
	assert_int_equal(fake.features_set, BIT(VIRTIO_F_VERSION_1));
	assert_int_equal(fake.offloads & OFFLOADS,
			 BIT(VIRTIO_NET_F_GUEST_CSUM));
	/* what nobody offered is nobody's */
	assert_false(fake_negotiate(&f->d, BIT(24)));
}

/* --- rings --- */

static void memory_and_rings_are_handed_over_as_they_are(void **state)
{
	struct fixture *f = *state;
	uint8_t *other = calloc(1, 8192);

	guest_mem_add(&f->d.mem, 1ULL << 32, 8192, other);
	start(f, 0);
	assert_int_equal(fake.region_count, 2);
	assert_int_equal(fake.regions[0].guest_phys_addr, FAKE_RAM_BASE);
	assert_int_equal(fake.regions[0].memory_size, FAKE_RAM_SIZE);
	assert_int_equal(fake.regions[0].userspace_addr, (uintptr_t)f->d.ram);
	assert_int_equal(fake.regions[1].guest_phys_addr, 1ULL << 32);
	assert_int_equal(fake.regions[1].memory_size, 8192);
	assert_int_equal(fake.regions[1].userspace_addr, (uintptr_t)other);
	for (unsigned i = 0; i < 2; i++) {
		const struct fake_queue *q = &f->d.queues[i];
		const struct fake_ring *ring = &fake.rings[i];

		assert_int_equal(ring->size, ENTRIES);
		assert_int_equal(ring->base, 0);
		assert_ptr_equal(ring->addr.desc_user_addr,
				 fake_ptr(&f->d, q->desc));
		assert_ptr_equal(ring->addr.avail_user_addr,
				 fake_ptr(&f->d, q->avail));
		assert_ptr_equal(ring->addr.used_user_addr,
				 fake_ptr(&f->d, q->used));
		assert_int_equal(ring->addr.flags, 0);
		assert_int_equal(ring->tap, TAP_FD);
		/* one for what may be there already */
		assert_int_equal(taken(ring->kick), 1);
	}
	reset(f);
	free(other);
}

static void a_queue_that_is_not_ready_is_not_handed_over(void **state)
{
	struct fixture *f = *state;

	fake_negotiate(&f->d, 0);
	fake_setup_queue(&f->d, TX, ENTRIES);
	fake_driver_ok(&f->d);
	assert_false(fake_needs_reset(&f->d));
	assert_int_equal(fake.rings[RX].tap, -1);
	assert_int_equal(fake.rings[TX].tap, TAP_FD);
	fake_kick(&f->d, RX);
	fake_kick(&f->d, 7);
	reset(f);
	assert_int_equal(fake.rings[RX].stops, 0);
	assert_int_equal(fake.rings[TX].stops, 1);
}

static void kicks_go_to_the_kernel_and_calls_become_interrupts(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	taken(fake.rings[RX].kick);
	taken(fake.rings[TX].kick);
	fake_kick(&f->d, TX);
	assert_int_equal(taken(fake.rings[TX].kick), 1);
	assert_int_equal(taken(fake.rings[RX].kick), 0);
	fake_run_loop(&f->d);
	assert_int_equal(fake_interrupts(&f->d), 0);
	for (unsigned i = 0; i < 4; i++) {
		wake(fake.rings[i % 2].call);
		fake_run_loop(&f->d);
		assert_int_equal(fake_interrupts(&f->d), 1);
		assert_int_equal(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS),
				 VIRTIO_MMIO_INT_VRING);
		fake_write(&f->d, VIRTIO_MMIO_INTERRUPT_ACK, 1);
	}
	fake_run_loop(&f->d);
	assert_int_equal(fake_interrupts(&f->d), 0);
}

static int ioevent_fds[2];

static int attach_kick(void *ctx, uint64_t addr, uint32_t datum, int fd)
{
	(void)ctx;
	(void)addr;
	assert_true(datum < 2);
	ioevent_fds[datum] = fd;
	return 0;
}

/* Before the descriptor is closed. */
static void detach_kick(void *ctx, uint64_t addr, uint32_t datum, int fd)
{
	(void)ctx;
	(void)addr;
	assert_int_equal(ioevent_fds[datum], fd);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ioevent_fds[datum] = -1;
}

static const struct ioeventfd_ops ioeventfds = { attach_kick, detach_kick };

static void the_ioeventfd_is_the_kernels_kick(void **state)
{
	struct fixture *f = *state;
	struct virtio_mmio_config config = {
		.base = FAKE_MMIO_BASE,
		.irq = { f->d.irq_fd },
		.ioeventfds = &ioeventfds,
	};
	struct error err;

	virtio_mmio_destroy(f->d.mmio);
	f->d.mmio = virtio_mmio_create(f->dev, &config, &err);
	f->d.bus.ranges[0].dev = f->d.mmio;
	start(f, 0);
	for (unsigned i = 0; i < 2; i++) {
		taken(fake.rings[i].kick);
		wake(ioevent_fds[i]);
		assert_int_equal(taken(fake.rings[i].kick), 1);
	}
	reset(f);
	assert_int_equal(ioevent_fds[RX], -1);
	assert_int_equal(ioevent_fds[TX], -1);
}

/* --- the driver takes them back --- */

static void a_stop_takes_one_queue_back_and_leaves_the_other(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, RX);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(fake.rings[RX].tap, -1);
	assert_int_equal(fake.rings[TX].tap, TAP_FD);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(fake.rings[RX].stops, 1);
	/* a call that was late is none */
	wake(fake.rings[RX].call);
	fake_run_loop(&f->d);
	assert_int_equal(fake_interrupts(&f->d), 0);
	wake(fake.rings[TX].call);
	fake_run_loop(&f->d);
	assert_int_equal(fake_interrupts(&f->d), 1);
	assert_false(fake_needs_reset(&f->d));
}

static void a_reset_in_the_midst_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	for (unsigned round = 1; round <= 3; round++) {
		start(f, round % 2 ? RING_FEATURES : 0);
		for (unsigned i = 0; i < 2; i++) {
			assert_int_equal(fake.rings[i].starts, round);
			assert_int_equal(fake.rings[i].base, 0);
			fake_kick(&f->d, i);
			wake(fake.rings[i].call);
			wake(fake.rings[i].error);
		}
		/* before the loop has seen any of it */
		reset(f);
		fake_run_loop(&f->d);
		assert_int_equal(fake_interrupts(&f->d), 0);
		assert_false(fake_needs_reset(&f->d));
		for (unsigned i = 0; i < 2; i++) {
			assert_int_equal(fake.rings[i].tap, -1);
			assert_int_equal(fake.rings[i].stops, round);
			fake_kick(&f->d, i);
		}
	}
	reset(f);
	assert_int_equal(fake.rings[RX].stops, 3);
}

/* What the guest does once its rings are elsewhere. */
static void rings_outside_memory_are_not_handed_over(void **state)
{
	struct fixture *f = *state;

	fake_negotiate(&f->d, 0);
	fake_setup_queue(&f->d, RX, ENTRIES);
	fake_setup_queue(&f->d, TX, ENTRIES);
	f->d.queues[TX].used = FAKE_RAM_BASE + FAKE_RAM_SIZE - 8;
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_SEL, TX);
	fake_write(&f->d, VIRTIO_MMIO_QUEUE_READY, 0);
	fake_announce_queue(&f->d, TX);
	fake_driver_ok(&f->d);
	assert_true(fake_needs_reset(&f->d));
	assert_int_equal(fake.rings[RX].starts, 0);
	assert_int_equal(fake.rings[TX].starts, 0);
}

/* --- what goes wrong --- */

static void an_error_breaks_the_device_until_its_reset(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		start(f, 0);
		wake(fake.rings[i].error);
		fake_run_loop(&f->d);
		assert_true(fake_needs_reset(&f->d));
		/* the kernel has let go of both already */
		assert_int_equal(fake.rings[RX].tap, -1);
		assert_int_equal(fake.rings[TX].tap, -1);
		assert_true(fake_read(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS) &
			    VIRTIO_MMIO_INT_CONFIG);
		fake_interrupts(&f->d);
		/* whatever else comes */
		wake(fake.rings[i].error);
		wake(fake.rings[i].call);
		fake_run_loop(&f->d);
		assert_int_equal(fake_interrupts(&f->d), 0);
		reset(f);
		assert_false(fake_needs_reset(&f->d));
		assert_int_equal(fake.rings[i].stops, i + 1);
	}
	start(f, 0);
	wake(fake.rings[TX].call);
	fake_run_loop(&f->d);
	assert_int_equal(fake_interrupts(&f->d), 1);
}

static void a_start_that_fails_leaves_nothing_served(void **state)
{
	static const unsigned long requests[] = {
		VHOST_SET_FEATURES,    VHOST_SET_MEM_TABLE,
		VHOST_SET_VRING_NUM,   VHOST_SET_VRING_BASE,
		VHOST_SET_VRING_ADDR,  VHOST_SET_VRING_KICK,
		VHOST_SET_VRING_CALL,  VHOST_SET_VRING_ERR,
		VHOST_NET_SET_BACKEND,
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		reset(f);
		fake.fail = requests[i];
		fake.fail_ring = TX;
		fake_start(&f->d, 0, ENTRIES);
		assert_true(fake_needs_reset(&f->d));
		assert_int_equal(fake.rings[RX].tap, -1);
		assert_int_equal(fake.rings[TX].tap, -1);
		fake_kick(&f->d, TX);
		fake_run_loop(&f->d);
		fake.fail = 0;
		start(f, 0);
		assert_int_equal(fake.rings[TX].tap, TAP_FD);
	}
	fake.offloads_result = -EINVAL;
	fake_start(&f->d, 0, ENTRIES);
	assert_true(fake_needs_reset(&f->d));
	assert_int_equal(fake.rings[RX].tap, -1);
}

/* Never seen, but no reason to serve a ring twice. */
static void a_stop_that_fails_keeps_the_next_start_from_it(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	fake.fail = VHOST_NET_SET_BACKEND;
	fake.fail_ring = RX;
	reset(f);
	fake.fail = 0;
	assert_int_equal(fake.rings[RX].tap, TAP_FD);
	fake_start(&f->d, 0, ENTRIES);
	assert_true(fake_needs_reset(&f->d));
	fake.rings[RX].tap = -1;
	start(f, 0);
}

/* --- the kernel's device --- */

/* --- the device stands still --- */

/* The kernel takes what there is, and uses a part of it. */
static void serve(struct fixture *f, unsigned queue, uint16_t used)
{
	struct fake_buffer b = { fake_alloc(&f->d, 64, 64), 64 };
	uint16_t *ring = fake_ptr(&f->d, f->d.queues[queue].used);

	for (unsigned i = 0; i < 3; i++)
		fake_add(&f->d, queue, &b, queue == TX, queue == RX);
	fake.rings[queue].base = used;
	ring[1] = used;
}

static void expect_ring(struct fixture *f, unsigned queue, uint16_t at)
{
	const struct virtqueue_state *s = &f->dev->queues[queue].state;

	assert_int_equal(s->next_avail, at);
	assert_int_equal(s->next_used, at);
	assert_int_equal(fake.rings[queue].tap, -1);
}

static void a_pause_takes_the_rings_back_and_goes_on_there(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	serve(f, TX, 2);
	serve(f, RX, 1);
	taken(fake.rings[TX].kick);
	virtio_device_quiesce(f->dev);
	expect_ring(f, TX, 2);
	expect_ring(f, RX, 1);
	/* the call for what was used last may have got lost */
	assert_int_equal(fake_interrupts(&f->d), 2);
	fake.rings[TX].base = fake.rings[RX].base = 99;
	virtio_device_resume(f->dev);
	assert_int_equal(fake.rings[TX].tap, TAP_FD);
	assert_int_equal(fake.rings[TX].base, 2);
	assert_int_equal(fake.rings[RX].base, 1);
	assert_true(taken(fake.rings[TX].kick) > 0);
	wake(fake.rings[RX].call);
	fake_run_loop(&f->d);
	assert_true(fake_interrupts(&f->d) > 0);
	assert_false(fake_needs_reset(&f->d));
}

static void another_device_goes_on_where_the_kernel_stood(void **state)
{
	struct fixture *f = *state;
	uint64_t saved[128];
	size_t size = virtio_device_state_size(f->dev);
	struct error err;

	start(f, RING_FEATURES | OFFLOADS);
	serve(f, TX, 2);
	virtio_device_quiesce(f->dev);
	virtio_device_save(f->dev, saved);
	fake_detach(&f->d);
	virtio_device_destroy(f->dev);
	vhost_kernel_close(&f->kernel);
	fake.owned = false;
	fake.features_set = fake.offloads = 0;
	f->kernel.control = control;
	create(f, 1400);
	assert_int_equal(virtio_device_load(f->dev, saved, size, &err), 0);
	assert_int_equal(fake.rings[TX].tap, -1);
	virtio_device_resume(f->dev);
	assert_int_equal(fake.rings[TX].tap, TAP_FD);
	assert_int_equal(fake.rings[TX].base, 2);
	assert_int_equal(fake.features_set & RING_FEATURES, RING_FEATURES);
	assert_int_equal(fake.offloads & OFFLOADS, OFFLOADS);
	assert_true(taken(fake.rings[TX].kick) > 0);
}

static void a_ring_that_does_not_come_back_breaks_the_device(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	fake.fail = VHOST_GET_VRING_BASE;
	fake.fail_ring = TX;
	virtio_device_quiesce(f->dev);
	virtio_device_resume(f->dev);
	assert_true(fake_needs_reset(&f->d));
	assert_int_equal(fake.rings[RX].tap, -1);
}

static void a_device_that_does_not_greet_is_closed(void **state)
{
	static const unsigned long requests[] = { VHOST_SET_OWNER,
						  VHOST_GET_FEATURES };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct vhost_kernel kernel = { .control = control };
		int fd = open("/dev/null", O_RDWR);

		fake.owned = false;
		fake.fail = i < 2 ? requests[i] : 0;
		fake.features = 0; /* no VERSION_1 */
		assert_int_equal(vhost_kernel_init(&kernel, fd),
				 i < 2 ? -ENOMEM : -ENOTSUP);
		assert_int_equal(fcntl(fd, F_GETFD), -1);
		assert_int_equal(kernel.fd, -1);
	}
}

static void refuse(const char *path, const char *words)
{
	struct vhost_kernel kernel;
	struct error err;

	assert_int_equal(vhost_kernel_open(&kernel, path, "some_module", &err),
			 -1);
	assert_int_equal(err.class, ERROR_IO);
	assert_ptr_equal(strstr(err.text, path), err.text);
	assert_non_null(strstr(err.text, words));
	assert_int_equal(kernel.fd, -1);
	vhost_kernel_close(&kernel);
}

static void what_is_wrong_with_the_file_is_said(void **state)
{
	char path[] = "/tmp/onggi-vhost-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	refuse("/nonexistent/vhost", "modprobe some_module");
	/* an emulator of programs may know no such request at all */
	if (ioctl(fd, VHOST_SET_OWNER, NULL) && errno == ENOTTY)
		refuse(path, "not what the kernel module some_module makes");
	close(fd);
	chmod(path, 0600);
	if (geteuid() == 0 && seteuid(65534) == 0) {
		refuse(path, "no permission; have root give it: setfacl");
		assert_int_equal(seteuid(0), 0);
	}
	unlink(path);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define BARE(name) cmocka_unit_test_setup_teardown(name, prepare, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_driver_gets_what_kernel_and_tap_can_do),
		BARE(an_older_kernel_offers_less),
		TEST(kernel_and_tap_are_told_what_the_driver_took),
		TEST(memory_and_rings_are_handed_over_as_they_are),
		TEST(a_queue_that_is_not_ready_is_not_handed_over),
		TEST(kicks_go_to_the_kernel_and_calls_become_interrupts),
		TEST(the_ioeventfd_is_the_kernels_kick),
		TEST(a_stop_takes_one_queue_back_and_leaves_the_other),
		TEST(a_reset_in_the_midst_leaves_nothing),
		TEST(rings_outside_memory_are_not_handed_over),
		TEST(an_error_breaks_the_device_until_its_reset),
		TEST(a_start_that_fails_leaves_nothing_served),
		TEST(a_stop_that_fails_keeps_the_next_start_from_it),
		TEST(a_pause_takes_the_rings_back_and_goes_on_there),
		TEST(another_device_goes_on_where_the_kernel_stood),
		TEST(a_ring_that_does_not_come_back_breaks_the_device),
		cmocka_unit_test(a_device_that_does_not_greet_is_closed),
		cmocka_unit_test(what_is_wrong_with_the_file_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
