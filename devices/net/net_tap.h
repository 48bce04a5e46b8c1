/* Tap interfaces of the host (Linux, Documentation/networking/tuntap.rst) as
 * back ends of virtio-net.
 *
 * A tap descriptor reads and writes one Ethernet frame at a time, behind a
 * 12-byte virtio-net header in little-endian order (virtio 1.2, 5.1.6): frames
 * go between it and guest memory without a copy in between. Bridging, addresses
 * and "up" are the user's affair.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "devices/net/net_backend.h"

/* One queue of a tap. */
struct net_tap {
	struct net_backend backend;
	bool detached; /* the kernel sends nothing there */
};

/* Whether Linux takes this name for an interface; "tap%d" is none here, as the
 * kernel would make up a number. */
bool net_tap_is_name(const char *name);

/* Opens the named tap, or creates one that lives as long as the descriptors,
 * with so many queues, 1 to NET_PAIRS_MAX. One alone is had of a tap of either
 * kind, several of one that was made with multi_queue. -1 with err set ("tap
 * NAME: ..."). */
int net_tap_open(struct net_tap *taps, unsigned count, const char *name,
		 struct error *err);

/* A back end on a descriptor that is a tap's already, or behaves like one, as
 * a datagram socket does for tests. It becomes tap's. */
void net_tap_init(struct net_tap *tap, int fd);
void net_tap_close(struct net_tap *tap);

/* A MAC address for the guest's end: locally administered, unicast, and
 * always the same for the same name. */
void net_tap_mac(const char *name, uint8_t mac[static NET_MAC_LEN]);
