/* Registers of an x86-64 vCPU. Set-up thread. */
#pragma once

#include "base/error.h"
#include "boot/x86_64/setup.h"
#include "vmm/machine/vcpu.h"

/* Makes vcpu start as entry says. -1 with err set. */
int cpu_set_registers(struct vcpu *vcpu, const struct x86_64_entry *entry,
		      struct error *err);
