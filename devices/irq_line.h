/* An edge-triggered interrupt line, as devices see it: an eventfd.
 *
 * In a VM the other end is an irqfd of KVM's interrupt controller; in a unit
 * test it is the test itself, which counts edges by reading. The line does
 * not own the descriptor. Any thread.
 */
#pragma once

#include <stdint.h>
#include <unistd.h>

struct irq_line {
	int fd;
};

static inline void irq_line_raise(struct irq_line line)
{
	uint64_t one = 1;

	/* fails only when 2^64 - 2 edges wait, and then one is as good */
	if (write(line.fd, &one, sizeof(one)) < 0)
		return;
}
