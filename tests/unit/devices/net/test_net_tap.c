#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "devices/net/net_tap.h"

static void derived_macs_are_local_unicast_stable_and_differ(void **state)
{
	uint8_t a[NET_MAC_LEN], again[NET_MAC_LEN], b[NET_MAC_LEN];

	(void)state;
	net_tap_mac("tap0", a);
	net_tap_mac("tap0", again);
	net_tap_mac("tap1", b);
	assert_int_equal(a[0] & 3, 2);
	assert_memory_equal(a, again, NET_MAC_LEN);
	assert_memory_not_equal(a, b, NET_MAC_LEN);
}

static void names_that_are_none_are_refused(void **state)
{
	static const char *const names[] = {
		"",    "tap%d", "a/b",	"sixteen-letters-", ".", "..",
		"a:b", " ",	"a\nb", "voil\xc3\xa0",
	};
	struct net_tap tap;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(net_tap_open(&tap, 1, names[i], &err), -1);
		assert_non_null(strstr(err.text, "not an interface name"));
	}
}

/* Skips where taps cannot be had: no /dev/net/tun, or not root. */
static void open_or_skip(struct net_tap *tap, const char *name)
{
	struct error err;

	if (net_tap_open(tap, 1, name, &err)) {
		print_message("%s\n", err.text);
		skip();
	}
}

static void a_tap_has_the_12_byte_header_and_does_not_block(void **state)
{
	struct ifreq request;
	struct net_tap tap;
	int header = 0, fd;
	char byte;

	(void)state;
	open_or_skip(&tap, "onggi-test0");
	fd = tap.backend.fd;
	memset(&request, 0, sizeof(request));
	assert_int_equal(ioctl(fd, TUNGETVNETHDRSZ, &header), 0);
	assert_int_equal(header, 12);
	assert_int_equal(ioctl(fd, TUNGETIFF, &request), 0);
	assert_string_equal(request.ifr_name, "onggi-test0");
	assert_true(request.ifr_flags & IFF_VNET_HDR);
	assert_true(request.ifr_flags & IFF_NO_PI);
	assert_int_equal(read(fd, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	net_tap_close(&tap);
}

#define USO                                                                \
	(1ULL << VIRTIO_NET_F_HOST_USO | 1ULL << VIRTIO_NET_F_GUEST_USO4 | \
	 1ULL << VIRTIO_NET_F_GUEST_USO6)

static void a_tap_takes_offloads(void **state)
{
	struct net_tap tap;
	struct net_backend *backend = &tap.backend;

	(void)state;
	open_or_skip(&tap, "onggi-test1");
	/* among them those of UDP, which a kernel has all or none of */
	assert_true(!(backend->features & USO) ||
		    (backend->features & USO) == USO);
	assert_int_equal(backend->ops->set_offloads(backend, backend->features),
			 0);
	/* half of those of UDP are none */
	assert_int_equal(backend->ops->set_offloads(
				 backend,
				 1ULL << VIRTIO_NET_F_GUEST_CSUM |
					 1ULL << VIRTIO_NET_F_GUEST_USO4),
			 0);
	assert_int_equal(backend->ops->set_offloads(backend, 0), 0);
	net_tap_close(&tap);
}

static void a_tap_in_use_and_an_interface_that_is_none_are_named(void **state)
{
	struct net_tap tap, other;
	struct error err;

	(void)state;
	open_or_skip(&tap, "onggi-test2");
	assert_int_equal(net_tap_open(&other, 1, "onggi-test2", &err), -1);
	assert_string_equal(err.text,
			    "tap onggi-test2: in use by another process");
	net_tap_close(&tap);
	assert_int_equal(net_tap_open(&other, 1, "lo", &err), -1);
	assert_non_null(strstr(err.text, "exists and is not a tap"));
}

static unsigned queues_of(const char *path)
{
	glob_t found;
	unsigned count = 0;

	if (glob(path, 0, NULL, &found) == 0)
		count = (unsigned)found.gl_pathc;
	globfree(&found);
	return count;
}

static void queues_are_taken_and_left(void **state)
{
	static const char queues[] = "/sys/class/net/onggi-test4/queues/tx-*";
	struct net_tap taps[3];
	struct error err;

	(void)state;
	if (net_tap_open(taps, 3, "onggi-test4", &err))
		skip();
	if (!queues_of(queues)) /* no sysfs */
		skip();
	assert_int_equal(queues_of(queues), 3);
	for (int i = 0; i < 2; i++) { /* the second time it is so already */
		struct net_backend *backend = &taps[1].backend;

		assert_int_equal(backend->ops->set_active(backend, false), 0);
		assert_int_equal(queues_of(queues), 2);
	}
	for (int i = 0; i < 2; i++) {
		struct net_backend *backend = &taps[1].backend;

		assert_int_equal(backend->ops->set_active(backend, true), 0);
		assert_int_equal(queues_of(queues), 3);
	}
	for (int i = 0; i < 3; i++)
		net_tap_close(&taps[i]);
}

/* Of two that share a multi-queue tap each would get half of the frames. */
static void a_tap_in_use_is_found_out_with_queues_too(void **state)
{
	struct net_tap taps[2], other[2];
	struct error err;

	(void)state;
	if (net_tap_open(taps, 2, "onggi-test5", &err))
		skip();
	for (unsigned count = 1; count <= 2; count++) {
		assert_int_equal(
			net_tap_open(other, count, "onggi-test5", &err), -1);
		assert_string_equal(err.text,
				    "tap onggi-test5: in use by "
				    "another process");
	}
	net_tap_close(&taps[0]);
	net_tap_close(&taps[1]);
}

static void a_single_queue_tap_gives_no_two(void **state)
{
	struct ifreq request = { .ifr_name = "onggi-test6",
				 .ifr_flags = IFF_TAP | IFF_NO_PI |
					      IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR);
	struct net_tap taps[2];
	struct error err;

	(void)state;
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) ||
	    ioctl(fd, TUNSETPERSIST, 1))
		skip();
	close(fd);
	assert_int_equal(net_tap_open(taps, 2, "onggi-test6", &err), -1);
	assert_non_null(strstr(err.text, "is not a multi-queue tap"));
	/* but one */
	assert_int_equal(net_tap_open(taps, 1, "onggi-test6", &err), 0);
	ioctl(taps[0].backend.fd, TUNSETPERSIST, 0);
	net_tap_close(&taps[0]);
}

/* Made with multi_queue, and used without. */
static void a_multi_queue_tap_gives_one(void **state)
{
	struct ifreq request = { .ifr_name = "onggi-test7",
				 .ifr_flags = IFF_TAP | IFF_NO_PI |
					      IFF_VNET_HDR | IFF_MULTI_QUEUE };
	int fd = open("/dev/net/tun", O_RDWR);
	struct net_tap tap;
	struct error err;

	(void)state;
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) ||
	    ioctl(fd, TUNSETPERSIST, 1))
		skip();
	close(fd);
	assert_int_equal(net_tap_open(&tap, 1, "onggi-test7", &err), 0);
	ioctl(tap.backend.fd, TUNSETPERSIST, 0);
	net_tap_close(&tap);
}

static void without_permission_the_error_says_how_to_get_one(void **state)
{
	struct net_tap tap;
	struct error err;

	(void)state;
	if (access("/dev/net/tun", R_OK | W_OK) || geteuid() != 0)
		skip();
	if (seteuid(65534))
		skip();
	assert_int_equal(net_tap_open(&tap, 1, "onggi-test3", &err), -1);
	assert_int_equal(seteuid(0), 0);
	assert_non_null(strstr(err.text, "tap onggi-test3: "));
	/* the device file itself may be closed to others, too */
	if (!strstr(err.text, "/dev/net/tun"))
		assert_non_null(
			strstr(err.text, "ip tuntap add onggi-test3 mode tap"));
}

static void a_tap_that_is_closed_twice_closes_nothing_else(void **state)
{
	struct net_tap tap;
	int fd = open("/dev/null", O_RDWR), other;

	(void)state;
	net_tap_init(&tap, fd);
	net_tap_close(&tap);
	other = open("/dev/null", O_RDWR);
	assert_int_equal(other, fd);
	net_tap_close(&tap);
	assert_int_equal(close(other), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		TEST(derived_macs_are_local_unicast_stable_and_differ),
		TEST(names_that_are_none_are_refused),
		TEST(a_tap_has_the_12_byte_header_and_does_not_block),
		TEST(a_tap_takes_offloads),
		TEST(a_tap_in_use_and_an_interface_that_is_none_are_named),
		TEST(queues_are_taken_and_left),
		TEST(a_tap_in_use_is_found_out_with_queues_too),
		TEST(a_single_queue_tap_gives_no_two),
		TEST(a_multi_queue_tap_gives_one),
		TEST(without_permission_the_error_says_how_to_get_one),
		TEST(a_tap_that_is_closed_twice_closes_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
