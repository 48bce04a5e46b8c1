/* How a transport gets ioeventfds: guest writes that signal an eventfd and do
 * not leave the kernel.
 *
 * In a VM, the other end is KVM. In a unit test, it is the test.
 */
#pragma once

#include <stdint.h>

/* After attach(), a write of the 32-bit value datum to the guest physical
 * address addr signals fd, until detach() with the same arguments. attach()
 * returns 0 or -errno. Any thread. */
struct ioeventfd_ops {
	int (*attach)(void *ctx, uint64_t addr, uint32_t datum, int fd);
	void (*detach)(void *ctx, uint64_t addr, uint32_t datum, int fd);
};
