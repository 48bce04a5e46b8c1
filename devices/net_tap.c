#include "devices/net_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"

#define VNET_HEADER 12 /* virtio 1.2, 5.1.6: with num_buffers */

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

int net_tap_open(const char *name, struct error *err)
{
	struct ifreq request = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
	};
	int header = VNET_HEADER, little_endian = 1;
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
	return take_fd(&fd);
}

int net_tap_set_offload(int fd, unsigned flags)
{
	return ioctl(fd, TUNSETOFFLOAD, (unsigned long)flags) ? -errno : 0;
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
