/* What each architecture keeps in struct vm; opaque to the rest of vmm/. */
#pragma once

#if defined(__x86_64__)
#include "boot/x86_64_setup.h"
#include "devices/i8042.h"

struct arch_state {
	struct x86_64_entry entry;
	struct i8042 i8042;
	struct kvm_cpuid2 *cpuid; /* what KVM supports, before topology */
};
#else
#error "no vmm/arch_*.c for this architecture"
#endif
