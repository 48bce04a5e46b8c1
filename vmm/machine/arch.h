/* What the machine asks of an architecture. A folder for each implements it,
 * and says in arch_config.h, arch_options.c and arch_state.h what it adds to
 * configuration and VM; everything else in vmm/ serves all of them. Set-up
 * thread, but where another is named.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "vmm/config/config.h"
#include "vmm/machine/layout.h"

struct vm;
struct vcpu;

/* The kernel that guest-images/ builds, and what its folder is called below
 * that of all images. */
extern const char arch_kernel_name[];
extern const char arch_images_suffix[];

/* Settles what config->arch has left open and the kernel file decides. */
void arch_settle_config(struct vm_config *config);

/* Fills the memory map and the device slots; opens nothing. -1 when the
 * configuration does not fit into the address space. */
int arch_layout(const struct vm_config *config, struct vm_layout *layout,
		struct error *err);

/* The architecture's words of the default kernel command line, and those the
 * layout needs. */
void arch_print_cmdline(const struct vm_config *config,
			const struct vm_layout *layout, FILE *out);

/* The machine type that KVM_CREATE_VM takes for this layout. -1 when the host
 * has too few address bits for it. */
int arch_vm_type(int kvm_fd, const struct vm_layout *layout,
		 unsigned long *type, struct error *err);

/* What must exist before memory and vCPUs, the interrupt controller above
 * all. */
int arch_create_irqchip(struct vm *vm, struct error *err);

/* Features and identity of one vCPU, which was just created; no registers. */
int arch_init_vcpu(struct vm *vm, struct vcpu *vcpu, struct error *err);

/* An edge on an input of the interrupt controller, for struct irq_line. Any
 * thread, but one at a time for each gsi. */
void arch_raise_irq(int vm_fd, uint32_t gsi);

/* With all vCPUs there: makes the interrupt controller ready for lines, then
 * puts serial port, power registers and what else the platform has on their
 * buses. */
int arch_create_devices(struct vm *vm, struct error *err);

/* Loads kernel and initrd, writes the tables that describe the machine, and
 * sets the registers of the first vCPU. The others wait for it. */
int arch_load(struct vm *vm, const char *cmdline, struct error *err);

/* Frees what the calls above left in vm->arch. */
void arch_destroy(struct vm *vm);

/* An exit that the common loop does not know. False: nobody knows it. On the
 * vCPU's thread. */
bool arch_handle_exit(struct vcpu *vcpu);

/* Presses the power button; false when the machine has none. Event loop. */
bool arch_press_power_button(struct vm *vm);

/* Whether the guest's last restart was a panic's. All vCPUs have ended. */
bool arch_reset_was_panic(const struct vm *vm);

/* One line on where a vCPU stands: instruction pointer and bytes. On its
 * thread. */
void arch_describe_vcpu(struct vcpu *vcpu, char *text, size_t size);
