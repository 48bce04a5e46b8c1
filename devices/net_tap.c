#include "devices/net_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"

#define BIT(feature) (1ULL << (feature))

#define OFFLOADS                                                      \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |       \
	 BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_GUEST_CSUM) | \
	 BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6))

/* --- frames --- */

static ssize_t receive(struct net_backend *backend, struct iovec *iov,
		       unsigned count, size_t capacity)
{
	struct iovec saved = iov[count];
	uint8_t beyond;
	ssize_t len;

	(void)capacity;
	/* a byte beyond the buffers tells frames that do not fit */
	iov[count] = (struct iovec){ .iov_base = &beyond, .iov_len = 1 };
	do {
		len = readv(backend->fd, iov, (int)count + 1);
	} while (len < 0 && errno == EINTR);
	iov[count] = saved;
	return len;
}

static bool send_frame(struct net_backend *backend, const struct iovec *iov,
		       unsigned count)
{
	ssize_t sent;

	do {
		sent = writev(backend->fd, iov, (int)count);
	} while (sent < 0 && errno == EINTR);
	return sent >= 0 || errno != EAGAIN;
}

static int set_offloads(struct net_backend *backend, uint64_t features)
{
	unsigned long flags = 0;

	/* 5.1.3.1: the others depend on it, and the tap insists */
	if (features & BIT(VIRTIO_NET_F_GUEST_CSUM)) {
		flags |= TUN_F_CSUM;
		if (features & BIT(VIRTIO_NET_F_GUEST_TSO4))
			flags |= TUN_F_TSO4;
		if (features & BIT(VIRTIO_NET_F_GUEST_TSO6))
			flags |= TUN_F_TSO6;
	}
	if (ioctl(backend->fd, TUNSETOFFLOAD, flags) == 0)
		return 0;
	/* what is no tap makes plain frames only */
	return errno == ENOTTY || errno == EOPNOTSUPP ? 0 : -errno;
}

static const struct net_backend_ops tap_ops = {
	.receive = receive,
	.send = send_frame,
	.set_offloads = set_offloads,
};

void net_tap_init(struct net_tap *tap, int fd)
{
	*tap = (struct net_tap){
		.backend = {
			.ops = &tap_ops,
			.name = "the tap",
			.fd = fd,
			.features = OFFLOADS,
		},
	};
}

void net_tap_close(struct net_tap *tap)
{
	if (tap->backend.ops)
		close(tap->backend.fd);
	*tap = (struct net_tap){ .backend.fd = -1 };
}

/* --- interfaces --- */

static int explain(const char *name, int errnum, struct error *err)
{
	switch (errnum) {
	case EPERM:
	case EACCES:
		return error_set(err, ERROR_IO, 0,
				 "tap %s: no permission; have root create it: "
				 "ip tuntap add %s mode tap user USER",
				 name, name);
	case EBUSY:
		return error_set(err, ERROR_IO, 0,
				 "tap %s: in use by another process", name);
	case EINVAL:
		return error_set(err, ERROR_IO, 0,
				 "tap %s: an interface of this name exists "
				 "and is not a single-queue tap",
				 name);
	}
	return error_set(err, ERROR_IO, errnum, "tap %s", name);
}

/* dev_valid_name() of Linux, whose isspace() also knows 0xa0. */
bool net_tap_is_name(const char *name)
{
	return *name && strlen(name) < IFNAMSIZ && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0 && !strpbrk(name, "%/: \t\n\v\f\r\xa0");
}

int net_tap_open(struct net_tap *tap, const char *name, struct error *err)
{
	struct ifreq request = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
	};
	int header = NET_HEADER, little_endian = 1;
	autoclose int fd = -1;

	if (!net_tap_is_name(name))
		return error_set(err, ERROR_USAGE, 0,
				 "tap %s: not an interface name", name);
	memcpy(request.ifr_name, name, strlen(name));
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, ERROR_IO, errno, "tap %s: /dev/net/tun",
				 name);
	if (ioctl(fd, TUNSETIFF, &request))
		return explain(name, errno, err);
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) ||
	    ioctl(fd, TUNSETVNETLE, &little_endian))
		return error_set(err, ERROR_IO, errno, "tap %s: header", name);
	net_tap_init(tap, take_fd(&fd));
	return 0;
}

void net_tap_mac(const char *name, uint8_t mac[static NET_MAC_LEN])
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

	for (const char *c = name; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 0x100000001b3;
	for (int i = 0; i < NET_MAC_LEN; i++)
		mac[i] = (uint8_t)(hash >> 8 * i);
	mac[0] = (mac[0] & 0xfc) | 0x02; /* unicast, locally administered */
}
