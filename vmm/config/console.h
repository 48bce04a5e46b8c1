/* Consoles: --console, the serial port, and --hvc, the virtio console. */
#pragma once

#include <stdbool.h>

#include "vmm/config/section.h"

/* Exactly one is set once the configuration is settled and checked. */
struct config_console {
	bool stdio;
	bool pty;
	bool none;
	char *file;
};

extern const struct config_section console_section;
