/* Virtqueues that the kernel serves (Linux, include/uapi/linux/vhost.h): the
 * requests to a /dev/vhost-* device.
 *
 * The device is opened before there is a VM, and outlives the VM. A thread of
 * the kernel, which counts as one of this process, reaches guest memory where
 * this process has mapped it. The kernel reports a broken ring by an eventfd.
 * Set-up thread until a device uses it, then under the device's mutex.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/guest_mem.h"
#include "devices/virtio/virtqueue.h"

struct vhost_kernel {
	int fd;		   /* -1: closed */
	uint64_t features; /* the virtio features that the kernel offers */
	/* Makes a request: ioctl(2), or a test's substitute. 0 or -errno. */
	int (*control)(int fd, unsigned long request, void *arg);
};

/* Opens path, a device of the named kernel module. 0, or -1 with err set
 * ("PATH: ..."). */
int vhost_kernel_open(struct vhost_kernel *kernel, const char *path,
		      const char *module, struct error *err);

/* Takes fd over and asks it for its features. kernel->control is set already.
 * 0, or -errno with fd closed. */
int vhost_kernel_init(struct vhost_kernel *kernel, int fd);

/* A struct that is all zeroes or closed already is fine. */
void vhost_kernel_close(struct vhost_kernel *kernel);

/* Tells the kernel what it must know before it gets rings: the features that
 * the driver accepted, and guest memory. These and all below: 0 or -errno. */
int vhost_kernel_set_features(const struct vhost_kernel *kernel,
			      uint64_t features);
int vhost_kernel_set_memory(const struct vhost_kernel *kernel,
			    const struct guest_mem *mem);

struct vhost_kernel_eventfds {
	int kick, call, error;
};

/* Tells the kernel where the rings of a started queue are, and which available
 * entry comes first. The kernel does not serve the queue yet. The eventfds stay
 * the caller's. */
int vhost_kernel_set_ring(const struct vhost_kernel *kernel, unsigned index,
			  const struct virtqueue *vq,
			  const struct vhost_kernel_eventfds *eventfds);

/* Reads how far the kernel has come in a ring that it does not serve any more:
 * *base is the available entry that comes next. */
int vhost_kernel_get_base(const struct vhost_kernel *kernel, unsigned index,
			  uint16_t *base);

/* For a network device: has the kernel serve the ring, whose frames come from
 * this tap, or go to it. With -1 the kernel stops: on return it does not touch
 * the ring and its buffers any more. */
int vhost_kernel_set_tap(const struct vhost_kernel *kernel, unsigned index,
			 int tap);
