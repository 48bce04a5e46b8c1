/* Registers and features of an arm64 vCPU (Linux
 * Documentation/virt/kvm/api.rst, devices/vcpu.rst). Set-up thread. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "vmm/machine/platform.h"
#include "vmm/machine/vcpu.h"

/* Starts what needs a started interrupt controller: the PMU if the user wants
 * one, and the account of stolen time if KVM keeps one. All vCPUs exist. -1
 * with err set. */
int cpu_start_timers(struct platform *platform, struct error *err);

/* Makes vcpu enter the kernel at pc, with the device tree at tree (Linux
 * Documentation/arch/arm64/booting.rst). Both are guest physical addresses. -1
 * with err set. */
int cpu_set_entry(struct vcpu *vcpu, uint64_t pc, uint64_t tree,
		  struct error *err);
