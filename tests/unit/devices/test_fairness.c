/* A vCPU that never leaves a device alone, and the event loop, which has
 * something to do there. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/container_of.h"
#include "devices/console/serial_16550.h"
#include "devices/platform/power.h"
#include "tests/fake_driver.h"

/* Far more accesses than visits, as any scheduler may be late for some. */
#define ACCESS_NS 1000000
#define ACCESSES 1000
#define VISITS 20

struct crowd {
	struct event_loop *loop;
	struct bus bus;
	struct event_source source;
	unsigned visits;
	atomic_uint accesses;
	atomic_bool enough;
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void slow_write(void *dev, uint64_t offset, unsigned size,
		       uint64_t value)
{
	struct crowd *crowd = dev;
	int64_t end = now_ns() + ACCESS_NS;

	(void)offset;
	(void)size;
	(void)value;
	while (now_ns() < end)
		;
	crowd->accesses++;
}

/* To the CPU with this number among those there are, lest the scheduler has
 * the two take turns on one. */
static void pin(unsigned number)
{
	cpu_set_t all, one;

	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all) && number-- == 0)
			CPU_SET(i, &one);
	if (CPU_COUNT(&one))
		pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
}

static void *hammer(void *arg)
{
	struct crowd *crowd = arg;
	uint32_t zero = 0;

	pin(1);
	while (!crowd->enough && crowd->accesses < ACCESSES)
		bus_write(&crowd->bus, 0, &zero, sizeof(zero));
	return NULL;
}

static void visit(struct event_source *source, uint32_t events)
{
	struct crowd *crowd = container_of(source, struct crowd, source);
	uint64_t count;

	(void)events;
	if (read(source->fd, &count, sizeof(count)) < 0)
		return;
	if (++crowd->visits == VISITS)
		event_loop_stop(crowd->loop);
}

static void expect_turns(pthread_mutex_t *lock)
{
	static const struct bus_ops ops = { .write = slow_write };
	struct crowd crowd = {
		.source = { .fd = timerfd_create(CLOCK_MONOTONIC, 0),
			    .ready = visit,
			    .lock = lock },
	};
	struct bus_range range = {
		.name = "dev",
		.size = 4,
		.ops = &ops,
		.dev = &crowd,
		.lock = lock,
	};
	const struct timespec often = { .tv_nsec = ACCESS_NS };
	const struct itimerspec timer = { often, often };
	pthread_t vcpu;
	cpu_set_t before;
	struct error err;

	crowd.loop = event_loop_create(&err);
	assert_non_null(crowd.loop);
	assert_int_equal(bus_add(&crowd.bus, &range, &err), 0);
	assert_int_equal(event_loop_add(crowd.loop, &crowd.source, EPOLLIN), 0);
	timerfd_settime(crowd.source.fd, 0, &timer, NULL);
	sched_getaffinity(0, sizeof(before), &before);
	assert_int_equal(pthread_create(&vcpu, NULL, hammer, &crowd), 0);
	while (!crowd.accesses)
		usleep(100);
	pin(0);
	event_loop_run(crowd.loop);
	pthread_setaffinity_np(pthread_self(), sizeof(before), &before);
	crowd.enough = true;
	pthread_join(vcpu, NULL);
	assert_in_range(crowd.accesses, 1, ACCESSES - 1);
	close(crowd.source.fd);
	event_loop_destroy(crowd.loop);
}

static void virtio_devices_let_the_event_loop_in(void **state)
{
	static const struct virtio_device_ops ops = {
		.size = sizeof(struct virtio_device),
	};
	static const struct guest_mem mem;
	struct error err;
	struct event_loop *loop = event_loop_create(&err);
	struct virtio_device *dev =
		virtio_device_create(&ops, &mem, loop, 0, 1, &err);

	(void)state;
	assert_non_null(dev);
	expect_turns(&dev->lock);
	virtio_device_destroy(dev);
	event_loop_destroy(loop);
}

static void the_serial_port_lets_the_event_loop_in(void **state)
{
	static const struct console_backend backend = { 0 };
	static struct serial serial;

	(void)state;
	serial_init(&serial, (struct irq_line){ .fd = -1 }, &backend, NULL);
	expect_turns(&serial.lock);
	serial_destroy(&serial);
}

static void the_power_registers_let_the_event_loop_in(void **state)
{
	static const struct power_ops ops = { 0 };
	static struct power power;

	(void)state;
	power_init(&power, (struct irq_line){ .fd = -1 }, &ops, NULL);
	expect_turns(&power.lock);
	power_destroy(&power);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(virtio_devices_let_the_event_loop_in),
		cmocka_unit_test(the_serial_port_lets_the_event_loop_in),
		cmocka_unit_test(the_power_registers_let_the_event_loop_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
