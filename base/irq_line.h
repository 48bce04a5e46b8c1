/* An edge-triggered interrupt line, as devices see it.
 *
 * In a VM the other end is KVM's interrupt controller; in a unit test it is the
 * test itself, which counts edges by reading an eventfd. The line owns no
 * descriptor. Any thread, but one at a time.
 */
#pragma once

#include <stdint.h>
#include <unistd.h>

struct irq_line {
	int fd;	      /* an eventfd, or what raise() makes of it */
	uint32_t gsi; /* for raise() */
	void (*raise)(int fd, uint32_t gsi); /* NULL for an eventfd */
};

static inline void irq_line_raise(struct irq_line line)
{
	uint64_t one = 1;

	if (line.raise)
		line.raise(line.fd, line.gsi);
	/* fails only when 2^64 - 2 edges wait, and then one is as good */
	else if (write(line.fd, &one, sizeof(one)) < 0)
		return;
}
