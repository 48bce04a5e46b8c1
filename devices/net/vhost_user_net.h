/* Network device (virtio 1.2, section 5.1) whose frames a vhost-user server
 * sends and receives, with one queue pair. MAC address, MTU and link state are
 * ours. While there is no server, the link is down and frames of the driver are
 * lost.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "devices/net/net_tap.h"
#include "devices/vhost_user/vhost_user.h"
#include "devices/virtio/virtio_device.h"

#define VHOST_USER_NET_QUEUE_SIZE 256

/* For struct vhost_user_options. */
extern const struct vhost_user_kind vhost_user_net_kind;

struct vhost_user_net_options {
	struct vhost_user *conn; /* outlives the device */
	uint8_t mac[NET_MAC_LEN];
	uint16_t mtu; /* bytes, 68 and up; 0: leave it to the driver */
};

/* mem is shared; it and loop outlive the device. NULL with err set when memory
 * or descriptors run out. */
struct virtio_device *
vhost_user_net_create(const struct vhost_user_net_options *options,
		      const struct guest_mem *mem, struct event_loop *loop,
		      struct error *err);
