/* The socket device: --vsock. */
#pragma once

#include <stdint.h>

#include "vmm/config/section.h"

struct config_vsock {
	char *path;   /* of the Unix socket; NULL: there is no device */
	uint64_t cid; /* of the guest; settled as the first free one, 3 */
};

extern const struct config_section vsock_section;
