/* No byte is lost or comes twice, either way, over pauses and moves to another
 * device.
 */
#include "tests/unit/unit.h"

#include <linux/virtio_console.h>
#include <string.h>

#include "devices/console/virtio_console.h"
#include "devices/virtio/virtio_negotiation.h"
#include "devices/virtio/virtio_state.h"
#include "tests/state_harness.h"

#define RX VIRTIO_CONSOLE_RX
#define TX VIRTIO_CONSOLE_TX

/* All bytes are counters. */
struct console_test {
	struct state_harness *h;
	struct console_port port;
	uint8_t printed, put;	/* by the driver, and out at the host */
	uint8_t offered, taken; /* by the host, and in at the driver */
	size_t accept;
	bool may_offer; /* receive() took all, or room() came */
};

static size_t backend_put(void *ctx, struct iovec *iov, unsigned count)
{
	struct console_test *t = ctx;
	size_t done = 0;

	for (unsigned i = 0; i < count; i++)
		for (size_t at = 0; at < iov[i].iov_len && t->accept; at++) {
			assert_true(((uint8_t *)iov[i].iov_base)[at] ==
					    t->put++ ||
				    t->h->damaged);
			t->accept--;
			done++;
		}
	return done;
}

static void backend_room(void *ctx)
{
	((struct console_test *)ctx)->may_offer = true;
}

static struct virtio_device *create(struct state_harness *h)
{
	static const struct console_backend backend = { backend_put,
							backend_room };
	struct console_test *t = h->ctx;
	const struct virtio_console_options options = {
		.backend = &backend,
		.backend_ctx = t,
	};
	struct virtio_device *dev;
	struct error err;

	if (!h->moves)
		*t = (struct console_test){ .h = h, .may_offer = true };
	dev = virtio_console_create(&options, &h->d.mem, h->d.loop, &err);
	t->port = virtio_console_port(dev);
	return dev;
}

static void print(struct state_harness *h)
{
	struct console_test *t = h->ctx;
	struct state_chain *chain = state_free_chain(h, TX);
	uint32_t lens[2] = { 1 + state_random(h, 900),
			     1 + state_random(h, 900) };
	uint8_t *at;

	if (!chain)
		return;
	at = state_ptr(h, chain);
	for (unsigned i = 0; i < lens[0] + lens[1]; i++)
		at[i] = t->printed++;
	state_give(h, TX, chain, lens, 2, 0);
}

static void listen(struct state_harness *h)
{
	struct state_chain *chain = state_free_chain(h, RX);
	uint32_t len = 1 + state_random(h, 100);

	if (chain)
		state_give(h, RX, chain, &len, 0, 1);
}

static void type(struct state_harness *h)
{
	struct console_test *t = h->ctx;
	uint8_t bytes[200];
	size_t len = 1 + state_random(h, sizeof(bytes)), done;

	if (!t->may_offer)
		return;
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(t->offered + i);
	done = t->port.ops->receive(t->port.dev, bytes, len);
	t->offered = (uint8_t)(t->offered + done);
	t->may_offer = done == len;
}

static void step(struct state_harness *h)
{
	struct console_test *t = h->ctx;

	switch (state_random(h, 4)) {
	case 0:
		print(h);
		break;
	case 1:
		listen(h);
		break;
	case 2:
		type(h);
		break;
	case 3:
		t->accept = state_random(h, 1500);
		t->port.ops->resume(t->port.dev);
		break;
	}
}

static void settle(struct state_harness *h)
{
	struct console_test *t = h->ctx;

	t->accept = SIZE_MAX;
	t->port.ops->resume(t->port.dev);
	for (unsigned i = 0; i < 1000; i++) {
		listen(h);
		type(h);
		state_collect(h);
	}
	assert_int_equal(t->put, t->printed);
	assert_int_equal(t->taken, t->offered);
}

static void used(struct state_harness *h, unsigned queue,
		 struct state_chain *chain, uint32_t len)
{
	struct console_test *t = h->ctx;
	const uint8_t *at = state_ptr(h, chain);

	if (queue == TX)
		assert_int_equal(len, 0);
	else
		for (uint32_t i = 0; i < len; i++)
			assert_int_equal(at[i], t->taken++);
}

static const struct state_device console = {
	.create = create,
	.destroy = virtio_device_destroy,
	.queue_size = 16,
	.descs = 2,
	.keeps = 1u << RX,
	.step = step,
	.settle = settle,
	.used = used,
};

static void the_driver_cannot_tell(void **state)
{
	struct console_test t;

	(void)state;
	state_run_all(&console, &t);
}

/* Linux throws away what comes before it is ready, which a pause does not
 * change. */
static void a_pause_gives_no_input_too_early(void **state)
{
	struct console_test t;
	struct state_harness h = { .ctx = &t };
	struct fake_buffer b;

	(void)state;
	fake_init(&h.d);
	fake_attach_mock(&h.d, create(&h), &h.transport);
	fake_start(&h.d, 1ULL << VIRTIO_CONSOLE_F_SIZE, 8);
	b = (struct fake_buffer){ fake_alloc(&h.d, 16, 16), 16 };
	fake_add(&h.d, RX, &b, 0, 1);
	virtio_device_quiesce(h.d.dev);
	virtio_device_resume(h.d.dev);
	fake_run_loop(&h.d);
	assert_int_equal(t.port.ops->receive(t.port.dev, &t.taken, 1), 0);
	fake_add(&h.d, TX, &b, 1, 0);
	fake_kick(&h.d, TX);
	assert_int_equal(t.port.ops->receive(t.port.dev, &t.taken, 1), 1);
	fake_detach(&h.d);
	virtio_device_destroy(h.d.dev);
	fake_fini(&h.d);
}

/* Saved at one terminal, the guest goes on at another. */
static void a_moved_console_has_the_size_of_its_new_terminal(void **state)
{
	struct console_test t;
	struct state_harness h = { .ctx = &t };
	struct virtio_device *old, *moved;
	struct error err;
	uint8_t saved[STATE_ROOM] __attribute__((aligned(8)));
	const size_t cols = offsetof(struct virtio_console_config, cols);

	(void)state;
	fake_init(&h.d);
	old = create(&h);
	fake_attach_mock(&h.d, old, &h.transport);
	fake_start(&h.d, 1ULL << VIRTIO_CONSOLE_F_SIZE, 8);
	t.port.ops->resize(t.port.dev, 80, 24);
	virtio_device_quiesce(old);
	virtio_device_save(old, saved);
	fake_detach(&h.d);

	moved = create(&h);
	fake_attach_mock(&h.d, moved, &h.transport);
	t.port.ops->resize(t.port.dev, 132, 50);
	assert_int_equal(virtio_device_load(moved, saved,
					    virtio_device_state_size(moved),
					    &err),
			 0);
	virtio_device_resume(moved);
	assert_int_equal(virtio_device_read_config(moved, cols, 4),
			 132 | 50 << 16);
	fake_detach(&h.d);
	virtio_device_destroy(moved);
	virtio_device_destroy(old);
	fake_fini(&h.d);
}

static void damaged_states_do_no_harm(void **state)
{
	struct console_test t;

	(void)state;
	state_load_damaged(&console, &t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_driver_cannot_tell),
		cmocka_unit_test(damaged_states_do_no_harm),
		cmocka_unit_test(a_pause_gives_no_input_too_early),
		cmocka_unit_test(
			a_moved_console_has_the_size_of_its_new_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
