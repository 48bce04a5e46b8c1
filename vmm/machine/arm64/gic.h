/* KVM's interrupt controller: a GICv3, or a GICv2 if the host has no other
 * (Linux Documentation/virt/kvm/devices/arm-vgic-v3.rst, arm-vgic.rst).
 * Set-up thread. */
#pragma once

#include "base/error.h"
#include "boot/arm64/fdt.h"
#include "vmm/machine/platform.h"

/* Creates platform->arch.gic_fd, before the first vCPU. -1 with err set. */
int gic_create(struct platform *platform, struct error *err);

/* Makes it ready for interrupt lines. All vCPUs exist. -1 with err set. */
int gic_start(struct platform *platform, struct error *err);

/* Fills in what the device tree says about it. */
void gic_describe(const struct platform *platform, struct fdt_config *fdt);
