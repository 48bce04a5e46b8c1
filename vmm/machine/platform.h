/* The hardware that every machine has: KVM's VM, the buses, serial port and
 * power registers.
 *
 * The architecture's functions (arch.h) and the vCPU threads work on this, and
 * on nothing else of the VM. Nothing in it changes while vCPUs run, but for
 * what devices protect by their own mutexes. Set-up thread.
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
	struct vcpus *vcpus;
	struct stop *stop;
	int kvm_fd;

	int vm_fd; /* KVM's VM; -1: none yet */
	struct bus mmio;
	struct serial serial;
	struct power power;
	struct arch_state arch;
};

/* Makes serial port, power registers and the architecture's own devices. All
 * vCPUs exist. console is the serial port's, and outlives it. -1 with err set;
 * platform_destroy_devices() and arch_destroy() free what a failure leaves. */
int platform_create_devices(struct platform *platform, struct console *console,
			    struct error *err);
void platform_destroy_devices(struct platform *platform);

/* Puts serial port and power registers on the bus that the architecture has
 * them on. -1 with err set. */
int platform_add_devices(struct platform *platform, struct bus *bus,
			 uint64_t serial_base, uint64_t power_base,
			 struct error *err);

/* An edge-triggered line to KVM's interrupt controller, until the platform is
 * gone. gsi is numbered as in the layout. */
struct irq_line platform_irq(const struct platform *platform, uint32_t gsi);
