/* What an x86-64 machine keeps in struct platform. */
#pragma once

#include "base/bus.h"
#include "boot/x86_64/setup.h"
#include "devices/platform/x86_64/i8042.h"

struct arch_state {
	struct bus pio;
	struct i8042 i8042;
	struct kvm_cpuid2 *cpuid; /* of the vCPUs */
};
