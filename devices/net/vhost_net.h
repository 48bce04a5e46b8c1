/* Network device (virtio 1.2, section 5.1) whose frames the kernel carries
 * between the driver's queues and a tap: one queue pair.
 *
 * Frames do not pass through this process. The kernel gets kicks by an eventfd
 * that KVM signals. The kernel's calls wake the event loop, which raises the
 * interrupt.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "devices/net/net_backend.h"
#include "devices/net/vhost_kernel.h"
#include "devices/virtio/virtio_device.h"

#define VHOST_NET_PATH "/dev/vhost-net"
#define VHOST_NET_MODULE "vhost_net"
#define VHOST_NET_QUEUE_SIZE 256

struct vhost_net_options {
	/* Both are the caller's and outlive the device. The back end is a tap. */
	const struct vhost_kernel *kernel;
	struct net_backend *backend;
	uint8_t mac[NET_MAC_LEN];
	uint16_t mtu; /* bytes, 68 and up; 0: leave it to the driver */
};

/* mem and loop outlive the device. NULL with err set when memory or descriptors
 * run out. */
struct virtio_device *vhost_net_create(const struct vhost_net_options *options,
				       const struct guest_mem *mem,
				       struct event_loop *loop,
				       struct error *err);
