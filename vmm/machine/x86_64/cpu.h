/* Registers of an x86-64 vCPU. Set-up thread. */
#pragma once

#include "base/error.h"
#include "boot/x86_64/setup.h"
#include "vmm/machine/vcpu.h"

#define SEGMENT_CODE 11 /* execute, read, accessed */
#define SEGMENT_DATA 3	/* read, write, accessed */

/* A segment of 4 GiB at address 0. code64: for code in long mode. */
struct kvm_segment cpu_flat_segment(uint16_t selector, uint8_t type,
				    bool code64);

/* Reads the CPUID that KVM supports, for a topology of so many vCPUs. The
 * caller frees it. NULL with err set. */
struct kvm_cpuid2 *cpu_read_cpuid(int kvm_fd, unsigned cpus, struct error *err);

/* Makes vcpu start as entry says. -1 with err set. */
int cpu_set_registers(struct vcpu *vcpu, const struct x86_64_entry *entry,
		      struct error *err);
