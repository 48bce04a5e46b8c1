/* Virtqueues that the kernel serves (Linux, include/uapi/linux/vhost.h): what
 * is asked of a /dev/vhost-* device.
 *
 * One is opened before there is a VM, and outlives it. The kernel reaches guest
 * memory where this process has mapped it, by a thread that counts as one of
 * the process's. What it finds wrong in a ring it says by an eventfd.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/guest_mem.h"

struct vhost_kernel {
	int fd;
	uint64_t features; /* of virtio, that it offers */
	/* ioctl(2), or what stands for it in a test: 0 or -errno */
	int (*control)(int fd, unsigned long request, void *arg);
};

/* Opens path, which the named kernel module serves. -1 with err set
 * ("PATH: ..."). */
int vhost_kernel_open(struct vhost_kernel *kernel, const char *path,
		      const char *module, struct error *err);

/* Greets what fd is, which becomes kernel's. control has its place already. 0
 * or -errno, with fd closed. */
int vhost_kernel_init(struct vhost_kernel *kernel, int fd);

/* One that is all zeroes, or closed already, is fine. */
void vhost_kernel_close(struct vhost_kernel *kernel);

/* What has to be known before rings are handed over. They, and all below: 0 or
 * -errno. */
int vhost_kernel_set_features(const struct vhost_kernel *kernel,
			      uint64_t features);
int vhost_kernel_set_memory(const struct vhost_kernel *kernel,
			    const struct guest_mem *mem);

struct vhost_kernel_ring {
	uint16_t size;
	uint16_t base; /* the available entry to begin with */
	const void *desc, *avail, *used;
	int kick, call, error; /* eventfds */
};

/* The ring is known; nobody serves it yet. */
int vhost_kernel_set_ring(const struct vhost_kernel *kernel, unsigned index,
			  const struct vhost_kernel_ring *ring);

/* Of a ring that nobody serves any more: *base is the available entry that
 * comes next. */
int vhost_kernel_get_base(const struct vhost_kernel *kernel, unsigned index,
			  uint16_t *base);

/* Of a network device: from now on the ring's frames come from this tap, or go
 * there. With -1, the kernel has let go of ring and buffers on return. */
int vhost_kernel_set_tap(const struct vhost_kernel *kernel, unsigned index,
			 int tap);
