/* What the machine asks of an architecture. Files named after it implement
 * this (arch_x86_64.c, arch_x86_64_cpu.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "vmm/config.h"
#include "vmm/layout.h"

struct vm;
struct vcpu;

/* Fills the memory map and the device slots; opens nothing. -1 when the
 * configuration does not fit into the address space. */
int arch_layout(const struct vm_config *config, struct vm_layout *layout,
		struct error *err);

/* The architecture's words of the default kernel command line, and those the
 * layout needs. */
void arch_print_cmdline(const struct vm_config *config,
			const struct vm_layout *layout, FILE *out);

/* Interrupt controller and whatever else must exist before vCPUs. */
int arch_create_irqchip(struct vm *vm, struct error *err);

/* Platform devices besides serial, power and virtio; and where serial and
 * power registers are found. */
int arch_create_devices(struct vm *vm, struct error *err);

/* Loads kernel and initrd and writes the tables that describe the machine;
 * remembers the entry state in vm->arch. */
int arch_load(struct vm *vm, const char *cmdline, struct error *err);

/* Registers of one vCPU, ready to run. */
int arch_setup_vcpu(struct vm *vm, struct vcpu *vcpu, struct error *err);

/* Frees what the calls above left in vm->arch. */
void arch_destroy(struct vm *vm);

/* An exit that the common loop does not know. False: nobody knows it. */
bool arch_handle_exit(struct vcpu *vcpu);

/* Whether the machine has a power button for SIGTERM to press. */
bool arch_has_power_button(const struct vm_config *config);

/* Whether the guest's last restart was a panic's. */
bool arch_reset_was_panic(const struct vm *vm);

/* One line on where a vCPU stands: instruction pointer and bytes. */
void arch_describe_vcpu(struct vcpu *vcpu, char *text, size_t size);
