/* What every kind of network card has in its configuration space (virtio 1.2,
 * 5.1.4): MAC, MTU and whether the link is up. Under the device's mutex, once
 * there is a device.
 */
#pragma once

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/le_types.h"
#include "devices/net/net_backend.h"

/* The features by which a driver knows that these fields are there. */
static inline uint64_t net_config_features(uint16_t mtu)
{
	return 1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_STATUS |
	       (mtu ? 1ULL << VIRTIO_NET_F_MTU : 0);
}

/* mtu: bytes; 0 leaves it to the driver. */
static inline void net_config_set(struct virtio_net_config *config,
				  const uint8_t mac[static NET_MAC_LEN],
				  uint16_t mtu)
{
	le16_t field = le16(mtu);

	memcpy(config->mac, mac, NET_MAC_LEN);
	memcpy(&config->mtu, &field, sizeof(field));
}

/* Returns whether the link has changed. The driver has to be told then. */
static inline bool net_config_set_link(struct virtio_net_config *config,
				       bool up)
{
	le16_t status = le16(up ? VIRTIO_NET_S_LINK_UP : 0);
	bool changed = memcmp(&config->status, &status, sizeof(status));

	memcpy(&config->status, &status, sizeof(status));
	return changed;
}
