/* The clock is the test's own; only the timer's is the host's. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/error.h"
#include "base/rate_limiter.h"

#define MS 1000000LL
#define SECOND (1000 * MS)

static int64_t now;

static int64_t test_clock(void)
{
	return now;
}

static struct fixture {
	struct event_loop *loop;
	struct rate_limiter limiter;
	unsigned ready;
} fixture;

static void on_ready(struct rate_limiter *limiter)
{
	container_of(limiter, struct fixture, limiter)->ready++;
}

static int setup(void **state)
{
	struct error err;

	fixture = (struct fixture){ .loop = event_loop_create(&err),

				    .limiter.timer = TIMER_CLOSED };
	assert_non_null(fixture.loop);
	event_loop_stop(fixture.loop); /* one batch a run */
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rate_limiter_destroy(&f->limiter);
	event_loop_destroy(f->loop);
	return 0;
}

static struct rate_limiter *limit(struct fixture *f, struct rate_limit bytes,
				  struct rate_limit ops)
{
	struct rate_limits limits = { bytes, ops };

	rate_limiter_destroy(&f->limiter);
	assert_int_equal(rate_limiter_init(&f->limiter, &limits, f->loop, NULL,
					   on_ready),
			 0);
	/* the buckets are full at any time after their creation */
	now = f->limiter.clock();
	f->limiter.clock = test_clock;
	f->ready = 0;
	return &f->limiter;
}

static const struct rate_limit none;

/* How many of `size` bytes pass before one may not. */
static unsigned pass(struct rate_limiter *limiter, uint64_t size)
{
	unsigned count = 0;

	while (rate_limiter_may(limiter)) {
		rate_limiter_take(limiter, size, 1);
		count++;
	}
	return count;
}

static void run_until_ready(struct fixture *f)
{
	for (int i = 0; i < 5000 && !f->ready; i++) {
		usleep(1000);
		event_loop_run(f->loop);
	}
	assert_int_equal(f->ready, 1);
}

static void without_a_limit_everything_passes_and_costs_nothing(void **state)
{
	struct fixture *f = *state;
	struct rate_limiter *l = limit(f, none, none);

	assert_false(l->enabled);
	for (int i = 0; i < 1000; i++) {
		assert_true(rate_limiter_may(l));
		rate_limiter_take(l, UINT64_MAX, UINT64_MAX);
	}
	assert_int_equal(l->timer.source.fd, -1);
}

static void a_bucketful_passes_at_once_and_the_rest_at_the_rate(void **state)
{
	struct fixture *f = *state;
	struct rate_limiter *l =
		limit(f, none, (struct rate_limit){ 1000, 10 });
	unsigned passed;

	assert_true(l->enabled);
	assert_in_range(pass(l, 512), 10, 11);
	passed = 0;
	for (int i = 0; i < 1000; i++) {
		now += MS;
		passed += pass(l, 512);
	}
	assert_in_range(passed, 999, 1000);
	/* a pause fills the bucket, and no more than that */
	now += 3600 * SECOND;
	assert_in_range(pass(l, 512), 10, 11);
}

static void a_default_bucket_holds_a_tenth_of_a_second(void **state)
{
	struct fixture *f = *state;
	struct rate_limiter *l =
		limit(f, (struct rate_limit){ .rate = 10 << 20 }, none);

	assert_in_range(pass(l, 1 << 10), 1024, 1025);
}

static void
what_is_larger_than_the_bucket_passes_and_leaves_a_debt(void **state)
{
	struct fixture *f = *state;
	struct rate_limiter *l =
		limit(f, (struct rate_limit){ 1000, 100 }, none);

	assert_true(rate_limiter_may(l));
	rate_limiter_take(l, 5000, 1);
	assert_false(rate_limiter_may(l));
	now += 4890 * MS;
	assert_false(rate_limiter_may(l));
	now += 20 * MS;
	assert_true(rate_limiter_may(l));
	/* the same again, and nothing in between */
	rate_limiter_take(l, 5000, 1);
	assert_false(rate_limiter_may(l));
}

static void both_buckets_have_to_have_something(void **state)
{
	struct fixture *f = *state;
	struct rate_limit small = { 1000, 10 }, large = { 1000, 1000 };
	struct rate_limiter *l = limit(f, small, large);

	assert_in_range(pass(l, 1), 10, 11);
	l = limit(f, large, small);
	assert_in_range(pass(l, 1), 10, 11);
	l = limit(f, large, large);
	assert_in_range(pass(l, 100), 10, 11);
	/* what has no bytes passes by the other limit only */
	l = limit(f, small, none);
	for (int i = 0; i < 1000; i++) {
		assert_true(rate_limiter_may(l));
		rate_limiter_take(l, 0, 1);
	}
}

static void fractions_are_not_lost(void **state)
{
	struct fixture *f = *state;
	struct rate_limiter *l = limit(f, (struct rate_limit){ 7, 1 },
				       (struct rate_limit){ 3000000007, 1 });
	unsigned passed = pass(l, 1);

	for (int i = 0; i < 10000; i++) {
		now += SECOND / 10;
		passed += pass(l, 1);
	}
	assert_in_range(passed, 6999, 7002);
}

static void absurd_numbers_do_no_harm(void **state)
{
	struct fixture *f = *state;
	struct rate_limit most = { UINT64_MAX, UINT64_MAX };
	struct rate_limit least = { 1, 1 };
	struct rate_limiter *l = limit(f, most, most);

	for (int i = 0; i < 100; i++)
		rate_limiter_take(l, UINT64_MAX, UINT64_MAX);
	assert_false(rate_limiter_may(l));
	now += 3600 * SECOND;
	assert_true(rate_limiter_may(l));
	l = limit(f, least, least);
	for (int i = 0; i < 100; i++)
		rate_limiter_take(l, UINT64_MAX, UINT64_MAX);
	assert_false(rate_limiter_may(l));
	now += 3600 * SECOND;
	assert_true(rate_limiter_may(l));
	l = limit(f, (struct rate_limit){ 1, UINT64_MAX }, none);
	assert_true(rate_limiter_may(l));
}

static void ready_comes_once_for_all_who_wait(void **state)
{
	struct fixture *f = *state;
	struct rate_limiter *l = limit(f, none, (struct rate_limit){ 1000, 1 });

	pass(l, 1);
	for (int i = 0; i < 100; i++)
		assert_false(rate_limiter_may(l));
	assert_true(l->waiting);
	run_until_ready(f);
	assert_false(l->waiting);
	for (int i = 0; i < 20; i++) {
		usleep(1000);
		event_loop_run(f->loop);
	}
	assert_int_equal(f->ready, 1);
	/* the clock has not moved: it has to wait again */
	f->ready = 0;
	assert_false(rate_limiter_may(l));
	run_until_ready(f);
}

static void nobody_is_called_after_a_cancellation(void **state)
{
	struct fixture *f = *state;
	struct rate_limiter *l = limit(f, none, (struct rate_limit){ 1000, 1 });

	rate_limiter_cancel(l); /* nobody waits */
	pass(l, 1);
	usleep(20000); /* it has rung by now */
	rate_limiter_cancel(l);
	event_loop_run(f->loop);
	assert_int_equal(f->ready, 0);
	assert_false(rate_limiter_may(l));
	rate_limiter_cancel(l);
	for (int i = 0; i < 20; i++) {
		usleep(1000);
		event_loop_run(f->loop);
	}
	assert_int_equal(f->ready, 0);
	/* and then there is somebody again */
	assert_false(rate_limiter_may(l));
	run_until_ready(f);
}

/* The guest may use up descriptors: a limit that was set holds all the same. */
static void a_limit_needs_no_descriptor_later(void **state)
{
	struct fixture *f = *state;
	struct rate_limiter *l = limit(f, none, (struct rate_limit){ 1, 1 });
	const struct rate_limits limits = { none, { 1, 1 } };
	struct rate_limiter other;
	struct rlimit before, few;
	int lowest = open("/dev/null", O_RDONLY);

	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = (rlim_t)lowest;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_in_range(pass(l, 1), 1, 2);
	assert_int_equal(rate_limiter_init(&other, &limits, f->loop, NULL,
					   on_ready),
			 -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	rate_limiter_destroy(&other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(without_a_limit_everything_passes_and_costs_nothing),
		TEST(a_bucketful_passes_at_once_and_the_rest_at_the_rate),
		TEST(a_default_bucket_holds_a_tenth_of_a_second),
		TEST(what_is_larger_than_the_bucket_passes_and_leaves_a_debt),
		TEST(both_buckets_have_to_have_something),
		TEST(fractions_are_not_lost),
		TEST(absurd_numbers_do_no_harm),
		TEST(ready_comes_once_for_all_who_wait),
		TEST(nobody_is_called_after_a_cancellation),
		TEST(a_limit_needs_no_descriptor_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
