/* The interrupt controller of KVM: a GICv3, or a GICv2 where the host has no
 * other (Linux Documentation/virt/kvm/devices/arm-vgic-v3.rst, arm-vgic.rst).
 * Set-up thread. */
#pragma once

#include "base/error.h"
#include "boot/arm64/fdt.h"
#include "vmm/machine/platform.h"

/* Before the first vCPU. platform->arch.gic_fd is the controller. */
int gic_create(struct platform *platform, struct error *err);

/* With all vCPUs there: from now on it takes lines. */
int gic_start(struct platform *platform, struct error *err);

/* Fills in what the device tree says of it. */
void gic_describe(const struct platform *platform, struct fdt_config *fdt);
