/* An edge-triggered interrupt line, as devices see it.
 *
 * In a VM, the other end is KVM's interrupt controller. In a unit test, it is
 * the test, which counts edges by reading an eventfd. The line owns no
 * descriptor. Any thread, but one at a time.
 */
#pragma once

#include <stdint.h>

#include "base/wake.h"

struct irq_line {
	int fd;	      /* an eventfd, or the first argument of raise() */
	uint32_t gsi; /* the second argument of raise() */
	void (*raise)(int fd, uint32_t gsi); /* NULL: fd is an eventfd */
};

static inline void irq_line_raise(struct irq_line line)
{
	if (line.raise)
		line.raise(line.fd, line.gsi);
	else
		wake(line.fd);
}
