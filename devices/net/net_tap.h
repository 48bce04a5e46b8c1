/* Tap interfaces of the host (Linux, Documentation/networking/tuntap.rst) as
 * back ends of virtio-net.
 *
 * Each read from a tap, and each write, is one Ethernet frame behind a 12-byte
 * virtio-net header in little-endian order (virtio 1.2, 5.1.6). So the kernel
 * copies frames directly between tap and guest memory. The user bridges the
 * tap, gives it addresses and sets it up. Opened by the set-up thread; its
 * operations run under the device's mutex.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "devices/net/net_backend.h"

/* One queue of a tap. */
struct net_tap {
	struct net_backend backend;
	bool detached; /* the kernel puts no frames into this queue */
};

/* Whether this can be the name of an interface. "tap%d" cannot, because the
 * kernel would choose a number. */
bool net_tap_is_name(const char *name);

/* Opens count queues of the named tap, 1 to NET_PAIRS_MAX. If there is no such
 * tap, creates one that lives as long as the descriptors. More than one queue
 * needs a tap that was created with multi_queue. 0, or -1 with err set ("tap
 * NAME: ...") and nothing open. */
int net_tap_open(struct net_tap *taps, unsigned count, const char *name,
		 struct error *err);

/* Makes a back end of fd, which it takes over: an open tap, or a datagram
 * socket in its place in tests. */
void net_tap_init(struct net_tap *tap, int fd);
void net_tap_close(struct net_tap *tap);

/* Computes a MAC address for the guest's end from the name: locally
 * administered, unicast, and always the same for the same name. */
void net_tap_mac(const char *name, uint8_t mac[static NET_MAC_LEN]);
