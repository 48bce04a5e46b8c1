#include "devices/net/net_tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/container_of.h"

#define BIT(feature) (1ULL << (feature))

#define OFFLOADS                                                      \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |       \
	 BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_GUEST_CSUM) | \
	 BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6))

/* Segmentation of UDP: since Linux 6.2, for IPv4 and IPv6 only together. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#define GUEST_USO (BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6))

/* --- frames --- */

static ssize_t receive(struct net_backend *backend, struct iovec *iov,
		       unsigned count, size_t capacity)
{
	struct iovec saved = iov[count];
	uint8_t beyond;
	ssize_t len;

	(void)capacity;
	/* a frame that does not fit reaches the byte beyond the buffers */
	iov[count] = (struct iovec){ .iov_base = &beyond, .iov_len = 1 };
	len = readv(backend->fd, iov, (int)count + 1);
	iov[count] = saved;
	return len;
}

static bool send_frame(struct net_backend *backend, const struct iovec *iov,
		       unsigned count)
{
	return writev(backend->fd, iov, (int)count) >= 0 || errno != EAGAIN;
}

static int set_offloads(struct net_backend *backend, uint64_t features)
{
	unsigned long flags = 0;

	/* 5.1.3.1: the other offloads depend on this one, and the tap refuses
	 * them without it */
	if (features & BIT(VIRTIO_NET_F_GUEST_CSUM)) {
		flags |= TUN_F_CSUM;
		if (features & BIT(VIRTIO_NET_F_GUEST_TSO4))
			flags |= TUN_F_TSO4;
		if (features & BIT(VIRTIO_NET_F_GUEST_TSO6))
			flags |= TUN_F_TSO6;
		if ((features & GUEST_USO) == GUEST_USO)
			flags |= TUN_F_USO4 | TUN_F_USO6;
	}
	if (ioctl(backend->fd, TUNSETOFFLOAD, flags) == 0)
		return 0;
	/* a descriptor that is no tap has no offloads to switch off */
	return errno == ENOTTY || errno == EOPNOTSUPP ? 0 : -errno;
}

static int set_active(struct net_backend *backend, bool active)
{
	struct net_tap *tap = container_of(backend, struct net_tap, backend);
	struct ifreq request = {
		.ifr_flags = active ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE,
	};

	if (tap->detached == !active)
		return 0;
	/* a descriptor that is no tap has no queue to attach */
	if (ioctl(backend->fd, TUNSETQUEUE, &request) && errno != ENOTTY &&
	    errno != EOPNOTSUPP)
		return -errno;
	tap->detached = !active;
	return 0;
}

static const struct net_backend_ops tap_ops = {
	.receive = receive,
	.send = send_frame,
	.set_active = set_active,
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

static int explain(const char *name, bool multi, int errnum, struct error *err)
{
	const char *option = multi ? "multi_queue " : "";

	switch (errnum) {
	case EPERM:
	case EACCES:
		return error_io(err,
				"tap %s: no permission; have root create it: "
				"ip tuntap add %s mode tap %suser USER",
				name, name, option);
	case EBUSY:
		return error_io(err, "tap %s: in use by another process", name);
	case EINVAL:
		return error_io(err,
				"tap %s: an interface of this name exists "
				"and is not a %stap",
				name, multi ? "multi-queue " : "");
	}
	return error_set(err, ERROR_IO, errnum, "tap %s", name);
}

/* The rules of Linux's dev_valid_name(), whose isspace() includes 0xa0. */
bool net_tap_is_name(const char *name)
{
	return *name && strlen(name) < IFNAMSIZ && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0 && !strpbrk(name, "%/: \t\n\v\f\r\xa0");
}

/* Makes fd a queue of the tap. 0 or an error number. */
static int attach(int fd, const char *name, bool multi)
{
	struct ifreq request = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
	};

	if (multi)
		request.ifr_flags |= IFF_MULTI_QUEUE;
	memcpy(request.ifr_name, name, strlen(name));
	return ioctl(fd, TUNSETIFF, &request) ? errno : 0;
}

/* How many queues of the tap are in use, by us and by others. 0 if the kernel
 * does not tell. */
static unsigned count_queues(const char *name)
{
	char path[sizeof("/sys/class/net//queues") + IFNAMSIZ];
	struct dirent *entry;
	unsigned count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/net/%s/queues", name);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		count += strncmp(entry->d_name, "tx-", 3) == 0;
	if (dir)
		closedir(dir);
	return count;
}

static int open_queues(struct net_tap *taps, unsigned count, const char *name,
		       struct error *err)
{
	bool multi = count > 1;

	for (unsigned i = 0; i < count; i++) {
		int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
		int errnum;

		if (fd < 0)
			return error_set(err, ERROR_IO, errno,
					 "tap %s: /dev/net/tun", name);
		net_tap_init(&taps[i], fd);
		errnum = attach(fd, name, multi);
		if (errnum == EINVAL && !multi) {
			multi = true;
			errnum = attach(fd, name, multi);
		}
		if (errnum)
			return explain(name, count > 1, errnum, err);
	}
	/* A multi-queue tap can be opened by several VMs, each of which would
	 * get a part of the frames. */
	if (multi && count_queues(name) > count)
		return explain(name, multi, EBUSY, err);
	return 0;
}

/* Whether the kernel segments UDP in both directions: a kernel that gives us
 * such frames also takes them. */
static bool has_uso(int fd)
{
	unsigned long flags = TUN_F_CSUM | TUN_F_USO4 | TUN_F_USO6;

	return ioctl(fd, TUNSETOFFLOAD, flags) == 0 &&
	       ioctl(fd, TUNSETOFFLOAD, 0UL) == 0;
}

/* Sets what applies to all queues together. */
static int prepare(struct net_tap *taps, unsigned count, const char *name,
		   struct error *err)
{
	int fd = taps[0].backend.fd;
	int header = NET_HEADER, little_endian = 1;

	if (ioctl(fd, TUNSETVNETHDRSZ, &header) ||
	    ioctl(fd, TUNSETVNETLE, &little_endian))
		return error_set(err, ERROR_IO, errno, "tap %s: header", name);
	if (has_uso(fd))
		for (unsigned i = 0; i < count; i++)
			taps[i].backend.features |= GUEST_USO |
						    BIT(VIRTIO_NET_F_HOST_USO);
	return 0;
}

int net_tap_open(struct net_tap *taps, unsigned count, const char *name,
		 struct error *err)
{
	if (!net_tap_is_name(name))
		return error_usage(err, "tap %s: not an interface name", name);
	memset(taps, 0, count * sizeof(taps[0]));
	if (open_queues(taps, count, name, err) == 0 &&
	    prepare(taps, count, name, err) == 0)
		return 0;
	for (unsigned i = 0; i < count; i++)
		net_tap_close(&taps[i]);
	return -1;
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
