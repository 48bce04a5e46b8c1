/* Registers and features of an arm64 vCPU (Linux
 * Documentation/virt/kvm/api.rst, devices/vcpu.rst). Set-up thread. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "vmm/machine/platform.h"
#include "vmm/machine/vcpu.h"

/* Starts what wants the interrupt controller: the PMU if it is asked for, and
 * the account of stolen time where KVM keeps one. All vCPUs exist. */
int cpu_start_timers(struct platform *platform, const struct vcpus *vcpus,
		     struct error *err);

/* Makes vcpu enter the kernel at pc, with the device tree at tree (Linux
 * Documentation/arch/arm64/booting.rst); both guest physical addresses. */
int cpu_set_entry(struct vcpu *vcpu, uint64_t pc, uint64_t tree,
		  struct error *err);

/* Frees what cpu_start_timers() made. */
void cpu_stop_timers(struct platform *platform);
