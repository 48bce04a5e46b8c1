/* What an arm64 machine keeps in struct platform. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/platform/arm64/pl061.h"
#include "vmm/config/config.h"

struct arch_state {
	int gic_fd;
	unsigned gic_version;
	struct pl061 gpio;
	void *steal; /* of stolen time, STEAL_SIZE bytes; MAP_FAILED: none */
	uint64_t mpidrs[CONFIG_CPUS_MAX];
	/* the guest asked for a warm reset (PSCI SYSTEM_RESET2) */
	atomic_bool warm_reset;
};
