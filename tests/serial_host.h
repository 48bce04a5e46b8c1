/* What the host's end of a serial port does, for tests. */
#pragma once

#include "devices/console/serial_16550.h"

static inline size_t serial_receive(struct serial *serial, const uint8_t *data,
				    size_t len)
{
	struct console_port port = serial_console_port(serial);

	return port.ops->receive(port.dev, data, len);
}

static inline void serial_resume(struct serial *serial)
{
	struct console_port port = serial_console_port(serial);

	port.ops->resume(port.dev);
}
