/* Network device (virtio 1.2, section 5.1) whose frames a vhost-user back-end
 * sends and receives: one queue pair. Address, MTU and the state of the link
 * are ours; the link is down while there is no back-end, and what the driver
 * sends then is lost.
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

/* What connections of such a device are made with. */
extern const struct vhost_user_kind vhost_user_net_kind;

struct vhost_user_net_options {
	struct vhost_user *conn; /* outlives the device */
	uint8_t mac[NET_MAC_LEN];
	uint16_t mtu; /* bytes, 68 and up; 0: leave it to the driver */
};

/* mem, which is shared, and loop outlive the device. NULL with err set when
 * memory or descriptors run out. vhost_user_device_destroy() is its end. */
struct virtio_device *
vhost_user_net_create(const struct vhost_user_net_options *options,
		      const struct guest_mem *mem, struct event_loop *loop,
		      struct error *err);
