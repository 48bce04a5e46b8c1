/* The hardware that every machine has, as an architecture builds it: KVM's VM,
 * the buses, serial port and power registers.
 *
 * The architecture's functions (arch.h) and vCPU threads work on this, and on
 * nothing else of the VM. Constant while vCPUs run, but for what devices
 * protect by their own mutexes.
 */
#pragma once

#include "arch_state.h"
#include "base/bus.h"
#include "devices/console/serial_16550.h"
#include "devices/platform/power.h"
#include "vmm/config/config.h"
#include "vmm/host/console.h"
#include "vmm/host/timeline.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/memory.h"
#include "vmm/machine/stop.h"

struct vcpus;

struct platform {
	/* The caller's, which outlive it. */
	const struct vm_config *config;
	const struct vm_layout *layout;
	struct timeline *timeline;
	struct memory *memory;
	struct stop *stop;
	int kvm_fd;

	int vm_fd; /* KVM's VM; -1: none yet */
	struct bus mmio;
	struct serial serial;
	struct power power;
	struct arch_state arch;
};

/* Makes serial port and power registers, and what else the architecture has.
 * All vCPUs exist. platform_destroy_devices() frees what a failure leaves. */
int platform_create_devices(struct platform *platform, struct vcpus *vcpus,
			    struct console *console, struct error *err);
void platform_destroy_devices(struct platform *platform);

/* An edge-triggered line to KVM's interrupt controller, until the platform is
 * gone. gsi: as the layout counts them. */
struct irq_line platform_irq(const struct platform *platform, uint32_t gsi);
