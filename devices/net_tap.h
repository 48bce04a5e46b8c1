/* Tap interfaces of the host (Linux, Documentation/networking/tuntap.rst).
 *
 * A tap descriptor reads and writes one Ethernet frame at a time, behind a
 * 12-byte virtio-net header in little-endian order (virtio 1.2, 5.1.6), and
 * does not block. Bridging, addresses and "up" are the user's affair.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define NET_MAC_LEN 6

/* Whether Linux takes this name for an interface; "tap%d" is none here, as the
 * kernel would make up a number. */
bool net_tap_is_name(const char *name);

/* Opens the named tap, or creates one that lives as long as the descriptor.
 * Returns the descriptor, the caller's to close, or -1 with err set ("tap
 * NAME: ..."). */
int net_tap_open(const char *name, struct error *err);

/* Tells the host which frames the guest takes: TUN_F_* of <linux/if_tun.h>.
 * 0 or -errno; -ENOTTY when fd is no tap. */
int net_tap_set_offload(int fd, unsigned flags);

/* A MAC address for the guest's end: locally administered, unicast, and
 * always the same for the same name. */
void net_tap_mac(const char *name, uint8_t mac[static NET_MAC_LEN]);
