/* The line by which a program of the host says which port of the guest it
 * wants: "CONNECT <port>\n", as Firecracker's clients write it.
 *
 * Any case, decimal digits, and a carriage return before the line break does
 * no harm. What comes behind it is the guest's. Under the device's mutex.
 */
#pragma once

#include <stdint.h>

#define VSOCK_LINE_MAX 32 /* bytes, the line break included */

struct vsock_line {
	unsigned len;
	char text[VSOCK_LINE_MAX];
};

/* Reads what has come of the line, and nothing beyond it. 1 with *port set once
 * it is whole, 0 when more is to come, -errno when there will be no line;
 * -EPROTO when it is another one. */
int vsock_line_read(struct vsock_line *line, int fd, uint32_t *port);
