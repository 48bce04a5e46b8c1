/* The line by which a program of the host says which port of the guest it
 * wants: "CONNECT <port>\n", as Firecracker's clients write it.
 *
 * The word may be in any case. The port is a decimal number. A carriage return
 * may precede the line break. Bytes behind the line are meant for the guest.
 * Under the device's mutex.
 */
#pragma once

#include <stdint.h>

#define VSOCK_LINE_MAX 32 /* bytes, the line break included */

struct vsock_line {
	unsigned len;
	char text[VSOCK_LINE_MAX];
};

/* Reads what has come of the line, and no byte beyond it. 1 with *port set when
 * the line is complete; 0 when more has to come; -EPROTO when it is another
 * line or ends early; else -errno. */
int vsock_line_read(struct vsock_line *line, int fd, uint32_t *port);
