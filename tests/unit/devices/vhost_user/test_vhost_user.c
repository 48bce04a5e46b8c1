/* The front-end's side of the protocol, with back-ends good and bad. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/vhost_user/vhost_user.h"
#include "tests/fake_backend.h"

/* Long where an answer comes, however busy the machine is; short where none
 * does. */
#define LONG_MS 30000
#define SHORT_MS 100

static size_t sixty(uint64_t features)
{
	(void)features;
	return 60;
}

static const struct vhost_user_kind with_config = { .config_size = sixty,
						    .queues = 1 };
static const struct vhost_user_kind without_config = { .queues = 2 };

struct fixture {
	struct fake_backend b;
	struct vhost_user *conn;
	struct event_loop *loop;
	pthread_mutex_t lock;
	unsigned lost, ready, config_changed;
	struct error err;
	unsigned open_before;
};

static struct fixture fixture;

static unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static int setup(void **state)
{
	struct fixture *f = &fixture;

	memset(f, 0, sizeof(*f));
	fake_backend_init(&f->b);
	f->open_before = open_descriptors();
	f->loop = event_loop_create(&f->err);
	event_loop_stop(f->loop);
	pthread_mutex_init(&f->lock, NULL);
	*state = f;
	return 0;
}

/* And nothing is left open by either side. */
static int teardown(void **state)
{
	struct fixture *f = *state;

	vhost_user_destroy(f->conn);
	f->conn = NULL;
	fake_backend_stop(&f->b);
	event_loop_destroy(f->loop);
	f->loop = NULL;
	assert_int_equal(open_descriptors(), f->open_before);
	return 0;
}

static void greet_for(struct fixture *f, const struct vhost_user_kind *kind,
		      unsigned timeout_ms)
{
	const struct vhost_user_options options = {
		.kind = kind,
		.name = "disk7",
		.fd = fake_backend_start(&f->b),
		.timeout_ms = timeout_ms,
	};

	f->conn = vhost_user_create(&options, &f->err);
}

static void greet(struct fixture *f, const struct vhost_user_kind *kind)
{
	greet_for(f, kind, LONG_MS);
}

/* One that goes wrong later. Where it will be silent, the greeting is tried
 * until it is done in time. */
static void greet_bad(struct fixture *f)
{
	if (f->b.mischief != FAKE_SILENT) {
		greet(f, &with_config);
		return;
	}
	for (int i = 0; i < 100 && !f->conn; i++) {
		fake_backend_stop(&f->b);
		greet_for(f, &with_config, SHORT_MS);
	}
}

static void on_lost(void *ctx)
{
	((struct fixture *)ctx)->lost++;
}

static void on_ready(void *ctx)
{
	((struct fixture *)ctx)->ready++;
}

static void on_config_changed(void *ctx)
{
	((struct fixture *)ctx)->config_changed++;
}

static const struct vhost_user_events events = {
	.lost = on_lost,
	.ready = on_ready,
	.config_changed = on_config_changed,
};

static void attach(struct fixture *f)
{
	assert_int_equal(
		vhost_user_attach(f->conn, f->loop, &f->lock, &events, f), 0);
}

/* Lets the loop run until *counter has come that far. */
static void run_until(struct fixture *f, const unsigned *counter,
		      unsigned value)
{
	for (int i = 0;
	     i < 30000 && *(volatile const unsigned *)counter < value; i++) {
		event_loop_run(f->loop);
		usleep(1000);
	}
	assert_int_equal(*counter, value);
}

/* Hands over a ring that only the server looks at. */
static int start_queue(struct fixture *f, unsigned index)
{
	const struct virtqueue_state ring = {
		.size = 8,
		.next_avail = 77,
		.desc = 0x1000,
		.avail = 0x2000,
		.used = 0x3000,
	};

	return vhost_user_start_queue(f->conn, index, &ring, STDOUT_FILENO,
				      STDERR_FILENO);
}

static void a_good_back_end_is_greeted(void **state)
{
	struct fixture *f = *state;
	const struct vhost_user_offer *offer;

	greet(f, &with_config);
	assert_non_null(f->conn);
	assert_true(vhost_user_is_ready(f->conn));
	offer = vhost_user_offer(f->conn);
	assert_int_equal(offer->features,
			 f->b.features & ~(1ULL << VHOST_F_PROTOCOL_FEATURES));
	assert_int_equal(offer->queues, 1);
	assert_int_equal(offer->config_size, 60);
	assert_memory_equal(offer->config, f->b.config, 60);
	/* nothing that is not spoken here */
	assert_int_equal(f->b.protocol_set, f->b.protocol & 0xffff7fff);
	assert_int_equal(f->b.counts[VHOST_SET_OWNER_MSG], 1);
}

static void one_without_protocol_features_will_do(void **state)
{
	struct fixture *f = *state;

	f->b.features = 1ULL << VIRTIO_F_VERSION_1;
	greet(f, &without_config);
	assert_non_null(f->conn);
	assert_int_equal(vhost_user_offer(f->conn)->queues, UINT32_MAX);
	attach(f);
	assert_int_equal(vhost_user_set_features(f->conn, UINT64_MAX), 0);
	assert_int_equal(start_queue(f, 1), 0);
	fake_backend_wait(&f->b, VHOST_SET_VRING_KICK_MSG, 1);
	assert_int_equal(f->b.features_set, 1ULL << VIRTIO_F_VERSION_1);
	/* it is enabled by itself */
	assert_int_equal(f->b.counts[VHOST_SET_VRING_ENABLE_MSG], 0);
	vhost_user_detach(f->conn);
}

static void refused(struct fixture *f, const char *why)
{
	assert_null(f->conn);
	assert_int_equal(f->err.class, ERROR_IO);
	if (!strstr(f->err.text, why))
		fail_msg("'%s' does not say '%s'", f->err.text, why);
}

static void one_that_is_too_old_is_refused(void **state)
{
	struct fixture *f = *state;

	f->b.features &= ~(1ULL << VIRTIO_F_VERSION_1);
	greet(f, &with_config);
	refused(f, "virtio 1.x");
}

static void one_with_too_few_queues_is_refused(void **state)
{
	struct fixture *f = *state;

	greet(f, &without_config);
	refused(f, "serves 1 queues, not 2");
}

static void one_without_configuration_space_is_refused(void **state)
{
	struct fixture *f = *state;

	f->b.protocol &= ~(1ULL << VHOST_PROTOCOL_F_CONFIG);
	greet(f, &with_config);
	refused(f, "no configuration space");
}

static void one_with_too_little_of_it_is_refused(void **state)
{
	struct fixture *f = *state;

	f->b.config_size = 59;
	greet(f, &with_config);
	refused(f, "no configuration space of 60 bytes");
}

static void queues_beyond_all_numbers_are_no_error(void **state)
{
	struct fixture *f = *state;

	f->b.queues = UINT64_MAX;
	greet(f, &with_config);
	assert_non_null(f->conn);
	assert_int_equal(vhost_user_offer(f->conn)->queues, UINT32_MAX);
}

static void a_slow_one_is_waited_for(void **state)
{
	struct fixture *f = *state;

	f->b.bad_request = VHOST_GET_FEATURES_MSG;
	f->b.mischief = FAKE_SLOW;
	greet(f, &with_config);
	assert_non_null(f->conn);
}

struct mishap {
	enum fake_mischief how;
	const char *why;
};

static const struct mishap mishaps[] = {
	{ FAKE_DIES, "closed the connection" },
	{ FAKE_SILENT, "does not answer" },
	{ FAKE_SHORT, "bytes, not" },
	{ FAKE_LONG, "bytes, not" },
	{ FAKE_HUGE, "no message" },
	{ FAKE_WRONG_ID, "answered request" },
	{ FAKE_NO_REPLY, "answered request" },
	{ FAKE_WRONG_VERSION, "answered request" },
	{ FAKE_WITH_FD, "no message" },
	{ FAKE_WITH_FDS, "no message" },
};

static void every_mishap_at_every_step_of_the_greeting_is_told(void **state)
{
	static const uint32_t steps[] = {
		VHOST_GET_FEATURES_MSG,	 VHOST_GET_PROTOCOL_FEATURES_MSG,
		VHOST_GET_QUEUE_NUM_MSG, VHOST_SET_OWNER_MSG,
		VHOST_GET_CONFIG_MSG,
	};

	for (unsigned i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		for (unsigned j = 0; j < sizeof(mishaps) / sizeof(*mishaps);
		     j++) {
			struct fixture *f;

			teardown(state);
			setup(state);
			f = *state;
			f->b.bad_request = steps[i];
			f->b.mischief = mishaps[j].how;
			greet_for(f, &with_config,
				  mishaps[j].how == FAKE_SILENT ? SHORT_MS
								: LONG_MS);
			refused(f, mishaps[j].why);
		}
	}
}

static void a_refusal_is_told(void **state)
{
	struct fixture *f = *state;

	f->b.bad_request = VHOST_SET_OWNER_MSG;
	f->b.mischief = FAKE_REFUSES;
	greet(f, &with_config);
	refused(f, "refused request 3");
}

static void nonsense_in_configuration_space_is_told(void **state)
{
	struct fixture *f = *state;

	f->b.bad_request = VHOST_GET_CONFIG_MSG;
	f->b.mischief = FAKE_REFUSES; /* another offset and size */
	greet(f, &with_config);
	refused(f, "another part");
}

/* --- attached --- */

static void memory_and_rings_are_told_as_they_are(void **state)
{
	struct fixture *f = *state;
	static uint8_t low[4096], high[8192], own[4096];
	int file = memfd_create("memory", MFD_CLOEXEC);
	struct guest_mem mem = { 0 };
	uint16_t base = 0;

	guest_mem_add(&mem, 0, sizeof(low), low);
	guest_mem_share(&mem, file, 0);
	guest_mem_add(&mem, 1ULL << 32, sizeof(high), high);
	guest_mem_share(&mem, file, sizeof(low));
	/* and what nobody else has */
	guest_mem_add(&mem, 1ULL << 33, sizeof(own), own);
	greet(f, &with_config);
	attach(f);
	assert_int_equal(vhost_user_set_features(
				 f->conn, 1ULL << VIRTIO_F_VERSION_1 |
						  1ULL << VIRTIO_BLK_F_RO),
			 0);
	assert_int_equal(vhost_user_set_memory(f->conn, &mem), 0);
	assert_int_equal(start_queue(f, 2), 0);
	fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, 1);
	/* what it does not offer is no business of its own */
	assert_int_equal(f->b.features_set,
			 1ULL << VIRTIO_F_VERSION_1 |
				 1ULL << VHOST_F_PROTOCOL_FEATURES);
	assert_int_equal(f->b.memory.count, 2);
	assert_int_equal(f->b.memory_fds, 2);
	assert_int_equal(f->b.memory.regions[1].gpa, 1ULL << 32);
	assert_int_equal(f->b.memory.regions[1].size, 8192);
	assert_int_equal(f->b.memory.regions[1].address, 1ULL << 32);
	assert_int_equal(f->b.memory.regions[1].offset, 4096);
	assert_int_equal(f->b.rings[2].size, 8);
	assert_int_equal(f->b.rings[2].desc, 0x1000);
	assert_int_equal(f->b.rings[2].avail, 0x2000);
	assert_int_equal(f->b.rings[2].used, 0x3000);
	assert_true(f->b.rings[2].kick >= 0 && f->b.rings[2].call >= 0);
	assert_true(f->b.rings[2].enabled);
	assert_int_equal(vhost_user_stop_queue(f->conn, 2, &base), 0);
	assert_int_equal(base, 77);
	assert_true(f->b.rings[2].stopped);
	vhost_user_detach(f->conn);
	/* it stays for the next boot */
	attach(f);
	assert_int_equal(start_queue(f, 0), 0);
	fake_backend_wait(&f->b, VHOST_SET_VRING_ENABLE_MSG, 2);
	vhost_user_detach(f->conn);
	close(file);
}

static void every_mishap_while_a_ring_is_stopped_ends_it(void **state)
{
	for (unsigned j = 0; j < sizeof(mishaps) / sizeof(*mishaps); j++) {
		struct fixture *f;
		uint16_t base;

		teardown(state);
		setup(state);
		f = *state;
		f->b.bad_request = VHOST_GET_VRING_BASE_MSG;
		f->b.mischief = mishaps[j].how;
		greet_bad(f);
		attach(f);
		assert_int_equal(start_queue(f, 0), 0);
		assert_int_equal(vhost_user_stop_queue(f->conn, 0, &base),
				 -EIO);
		assert_non_null(
			strstr(vhost_user_reason(f->conn), mishaps[j].why));
		assert_false(vhost_user_is_ready(f->conn));
		/* the caller knows; nothing works any more, at once */
		assert_int_equal(f->lost, 0);
		assert_int_equal(vhost_user_stop_queue(f->conn, 1, &base),
				 -EIO);
		assert_int_equal(vhost_user_set_features(f->conn, 0), -EIO);
		event_loop_run(f->loop);
		assert_int_equal(f->lost, 0);
		vhost_user_detach(f->conn);
	}
}

static void a_ring_with_another_number_ends_it(void **state)
{
	struct fixture *f = *state;
	uint16_t base;

	f->b.bad_request = VHOST_GET_VRING_BASE_MSG;
	f->b.mischief = FAKE_REFUSES; /* -1 for both numbers */
	greet(f, &with_config);
	attach(f);
	assert_int_equal(vhost_user_stop_queue(f->conn, 0, &base), -EIO);
	vhost_user_detach(f->conn);
}

/* What nobody waits for is found out in the event loop. */
static void every_mishap_at_set_up_is_found_out_later(void **state)
{
	static const uint32_t steps[] = { VHOST_SET_VRING_NUM_MSG,
					  VHOST_SET_VRING_ENABLE_MSG };

	for (unsigned i = 0; i < 2; i++) {
		for (unsigned j = 0; j < sizeof(mishaps) / sizeof(*mishaps);
		     j++) {
			struct fixture *f;

			teardown(state);
			setup(state);
			f = *state;
			f->b.bad_request = steps[i];
			f->b.mischief = mishaps[j].how;
			greet_bad(f);
			attach(f);
			/* it may be dead before all is said */
			start_queue(f, 0);
			if (vhost_user_is_ready(f->conn))
				run_until(f, &f->lost, 1);
			assert_non_null(strstr(vhost_user_reason(f->conn),
					       mishaps[j].why));
			vhost_user_detach(f->conn);
		}
	}
}

static void an_answer_to_nothing_ends_it(void **state)
{
	struct fixture *f = *state;

	greet(f, &with_config);
	attach(f);
	assert_int_equal(send(f->b.fd, "unasked for, 12+", 12, 0), 12);
	/* the header says that more comes than a message can have */
	run_until(f, &f->lost, 1);
	vhost_user_detach(f->conn);
	teardown(state);

	setup(state);
	f->b.bad_request = VHOST_SET_FEATURES_MSG;
	f->b.mischief = FAKE_TWICE;
	greet(f, &with_config);
	attach(f);
	assert_int_equal(vhost_user_set_features(f->conn, 0), 0);
	run_until(f, &f->lost, 1);
	assert_non_null(strstr(vhost_user_reason(f->conn), "not asked for"));
	vhost_user_detach(f->conn);
}

static void one_that_does_not_read_is_given_up(void **state)
{
	struct fixture *f = *state;
	const uint8_t on = 1;
	int ret = 0;

	/* no acknowledgements, so that nothing is owed */
	f->b.protocol &= ~(1ULL << VHOST_PROTOCOL_F_REPLY_ACK);
	f->b.bad_request = VHOST_SET_CONFIG_MSG;
	f->b.mischief = FAKE_SILENT;
	greet(f, &with_config);
	attach(f);
	assert_int_equal(vhost_user_set_config(f->conn, 32, &on, 1), 0);
	fake_backend_wait(&f->b, VHOST_SET_CONFIG_MSG, 1);
	shutdown(f->b.fd, SHUT_RD);
	for (int i = 0; i < 100000 && ret == 0; i++)
		ret = vhost_user_set_config(f->conn, 32, &on, 1);
	assert_int_equal(ret, -EIO);
	vhost_user_detach(f->conn);
}

/* A driver may write faster than the back-end acknowledges. */
static void writes_to_configuration_space_do_not_pile_up(void **state)
{
	struct fixture *f = *state;
	const uint8_t on = 1;

	f->b.bad_request = VHOST_SET_CONFIG_MSG;
	f->b.mischief = FAKE_SILENT;
	greet(f, &with_config);
	attach(f);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(vhost_user_set_config(f->conn, 32, &on, 1), 0);
	assert_true(vhost_user_is_ready(f->conn));
	vhost_user_detach(f->conn);
}

static void a_write_to_configuration_space_arrives(void **state)
{
	struct fixture *f = *state;
	const uint8_t on = 1;

	greet(f, &with_config);
	attach(f);
	assert_int_equal(vhost_user_set_config(f->conn, 32, &on, 1), 0);
	fake_backend_wait(&f->b, VHOST_SET_CONFIG_MSG, 1);
	assert_int_equal(f->b.config_written.offset, 32);
	assert_int_equal(f->b.config_written.size, 1);
	assert_int_equal(f->b.config_written.flags, 0);
	assert_int_equal(f->b.config_written.data[0], 1);
	vhost_user_detach(f->conn);
}

/* --- the back-end's own channel --- */

static void say_changed(struct fixture *f, uint32_t request, uint32_t flags)
{
	const struct vhost_msg_header header = { request, flags, 0 };

	assert_int_equal(send(f->b.back_fd, &header, sizeof(header), 0),
			 sizeof(header));
}

static void a_change_of_configuration_space_is_fetched(void **state)
{
	struct fixture *f = *state;
	struct vhost_message answer = { 0 };

	greet(f, &with_config);
	attach(f);
	pthread_mutex_lock(&f->b.lock);
	f->b.config[0] = 0xaa;
	pthread_mutex_unlock(&f->b.lock);
	say_changed(f, VHOST_BACKEND_CONFIG_CHANGE_MSG,
		    VHOST_MSG_VERSION | VHOST_MSG_NEED_REPLY);
	run_until(f, &f->config_changed, 1);
	assert_int_equal(vhost_user_offer(f->conn)->config[0], 0xaa);
	assert_int_equal(recv(f->b.back_fd, &answer, 20, MSG_WAITALL), 20);
	assert_int_equal(answer.header.request, 2);
	assert_int_equal(answer.header.flags,
			 VHOST_MSG_VERSION | VHOST_MSG_REPLY);
	assert_int_equal(answer.payload.u64, 0);
	vhost_user_detach(f->conn);
}

static void other_requests_of_the_back_end_are_refused(void **state)
{
	struct fixture *f = *state;
	struct vhost_message answer = { 0 };

	greet(f, &with_config);
	attach(f);
	say_changed(f, 3, VHOST_MSG_VERSION | VHOST_MSG_NEED_REPLY);
	event_loop_run(f->loop);
	assert_int_equal(recv(f->b.back_fd, &answer, 20, MSG_DONTWAIT), 20);
	assert_int_not_equal(answer.payload.u64, 0);
	assert_true(vhost_user_is_ready(f->conn));
	vhost_user_detach(f->conn);
}

static void a_storm_of_changes_is_asked_about_once_at_a_time(void **state)
{
	struct fixture *f = *state;

	greet(f, &with_config);
	attach(f);
	pthread_mutex_lock(&f->b.lock); /* it cannot answer now */
	for (int i = 0; i < 100; i++)
		say_changed(f, VHOST_BACKEND_CONFIG_CHANGE_MSG,
			    VHOST_MSG_VERSION);
	for (int i = 0; i < 100; i++)
		event_loop_run(f->loop);
	pthread_mutex_unlock(&f->b.lock);
	run_until(f, &f->config_changed, 1);
	/* of the greeting, of the first change, and of all the others */
	fake_backend_wait(&f->b, VHOST_GET_CONFIG_MSG, 3);
	event_loop_run(f->loop);
	assert_int_equal(f->b.counts[VHOST_GET_CONFIG_MSG], 3);
	vhost_user_detach(f->conn);
}

static void rubbish_in_the_channel_ends_the_channel_alone(void **state)
{
	struct fixture *f = *state;
	uint8_t byte;

	greet(f, &with_config);
	attach(f);
	assert_int_equal(send(f->b.back_fd, "123456789012", 12, 0), 12);
	event_loop_run(f->loop);
	assert_int_equal(recv(f->b.back_fd, &byte, 1, MSG_DONTWAIT), 0);
	assert_true(vhost_user_is_ready(f->conn));
	assert_int_equal(start_queue(f, 0), 0);
	vhost_user_detach(f->conn);
}

/* --- loss and return --- */

static void one_that_comes_back_is_found(void **state)
{
	struct fixture *f = *state;
	struct vhost_user_options options = {
		.kind = &with_config,
		.name = "disk7",
		.connect = fake_backend_connect,
		.ctx = &f->b,
		.timeout_ms = LONG_MS,
		.retry_ms = 10,
	};
	uint16_t base;

	fake_backend_listen(&f->b);
	options.fd = fake_backend_connect(&f->b, &f->err);
	f->conn = vhost_user_create(&options, &f->err);
	assert_non_null(f->conn);
	attach(f);
	fake_backend_stop(&f->b);
	run_until(f, &f->lost, 1);
	assert_false(vhost_user_is_ready(f->conn));
	/* which asking it for something does not hinder */
	assert_int_equal(vhost_user_stop_queue(f->conn, 0, &base), -EIO);
	/* one that is none of ours, then a good one */
	fake_backend_init(&f->b);
	f->b.protocol = 0;
	fake_backend_listen(&f->b);
	run_until(f, &f->b.counts[VHOST_SET_OWNER_MSG], 1);
	assert_int_equal(f->ready, 0);
	fake_backend_stop(&f->b);
	fake_backend_init(&f->b);
	fake_backend_listen(&f->b);
	run_until(f, &f->ready, 1);
	assert_int_equal(f->lost, 1);
	assert_true(vhost_user_is_ready(f->conn));
	/* its channel is heard, too */
	say_changed(f, VHOST_BACKEND_CONFIG_CHANGE_MSG, VHOST_MSG_VERSION);
	run_until(f, &f->config_changed, 1);
	vhost_user_detach(f->conn);
}

static void one_that_comes_back_silent_is_given_up_for_the_next(void **state)
{
	struct fixture *f = *state;
	struct vhost_user_options options = {
		.kind = &with_config,
		.name = "disk7",
		.connect = fake_backend_connect,
		.ctx = &f->b,
		.timeout_ms = SHORT_MS,
		.retry_ms = 10,
	};

	for (int i = 0; i < 100 && !f->conn; i++) {
		fake_backend_stop(&f->b);
		fake_backend_listen(&f->b);
		options.fd = fake_backend_connect(&f->b, &f->err);
		f->conn = vhost_user_create(&options, &f->err);
	}
	assert_non_null(f->conn);
	attach(f);
	fake_backend_stop(&f->b);
	run_until(f, &f->lost, 1);
	fake_backend_init(&f->b);
	f->b.bad_request = VHOST_GET_FEATURES_MSG;
	f->b.mischief = FAKE_SILENT;
	f->b.again = true;
	fake_backend_listen(&f->b);
	/* which it is more than once */
	run_until(f, &f->b.counts[VHOST_GET_FEATURES_MSG], 2);
	assert_int_equal(f->ready, 0);
	/* meanwhile the last one's word stands */
	assert_int_equal(vhost_user_offer(f->conn)->config_size, 60);
	fake_backend_stop(&f->b);
	fake_backend_init(&f->b);
	f->b.again = true;
	fake_backend_listen(&f->b);
	run_until(f, &f->ready, 1);
	assert_int_equal(f->lost, 1);
	vhost_user_detach(f->conn);
}

static void one_that_is_lost_between_boots_is_looked_for(void **state)
{
	struct fixture *f = *state;
	struct vhost_user_options options = {
		.kind = &with_config,
		.name = "disk7",
		.connect = fake_backend_connect,
		.ctx = &f->b,
		.timeout_ms = LONG_MS,
		.retry_ms = 10,
	};

	fake_backend_listen(&f->b);
	options.fd = fake_backend_connect(&f->b, &f->err);
	f->conn = vhost_user_create(&options, &f->err);
	assert_non_null(f->conn);
	attach(f);
	/* in the midst of something */
	assert_int_equal(vhost_user_set_features(f->conn, 0), 0);
	vhost_user_detach(f->conn);
	assert_false(vhost_user_is_ready(f->conn));
	fake_backend_stop(&f->b);
	fake_backend_init(&f->b);
	fake_backend_listen(&f->b);
	attach(f);
	run_until(f, &f->ready, 1);
	vhost_user_detach(f->conn);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_good_back_end_is_greeted),
		TEST(one_without_protocol_features_will_do),
		TEST(one_that_is_too_old_is_refused),
		TEST(one_with_too_few_queues_is_refused),
		TEST(one_without_configuration_space_is_refused),
		TEST(one_with_too_little_of_it_is_refused),
		TEST(queues_beyond_all_numbers_are_no_error),
		TEST(a_slow_one_is_waited_for),
		TEST(every_mishap_at_every_step_of_the_greeting_is_told),
		TEST(a_refusal_is_told),
		TEST(nonsense_in_configuration_space_is_told),
		TEST(memory_and_rings_are_told_as_they_are),
		TEST(every_mishap_while_a_ring_is_stopped_ends_it),
		TEST(a_ring_with_another_number_ends_it),
		TEST(every_mishap_at_set_up_is_found_out_later),
		TEST(an_answer_to_nothing_ends_it),
		TEST(one_that_does_not_read_is_given_up),
		TEST(writes_to_configuration_space_do_not_pile_up),
		TEST(a_write_to_configuration_space_arrives),
		TEST(a_change_of_configuration_space_is_fetched),
		TEST(other_requests_of_the_back_end_are_refused),
		TEST(a_storm_of_changes_is_asked_about_once_at_a_time),
		TEST(rubbish_in_the_channel_ends_the_channel_alone),
		TEST(one_that_comes_back_is_found),
		TEST(one_that_comes_back_silent_is_given_up_for_the_next),
		TEST(one_that_is_lost_between_boots_is_looked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
