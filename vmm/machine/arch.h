/* What the machine asks of an architecture. A folder for each implements it,
 * and says in arch_config.h, arch_fields.h and arch_state.h what it adds to
 * configuration and platform; everything else in vmm/ serves all of them.
 * Set-up thread, but where another is named.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "vmm/config/config.h"
#include "vmm/host/own_files.h"
#include "vmm/machine/boot_files.h"
#include "vmm/machine/layout.h"

struct platform;
struct vcpu;
struct vcpus;

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

/* Opens the file that the machine's description is written to, if one was asked
 * for; *fd stays -1 otherwise. */
int arch_open_dump(const struct vm_config *config,
		   const struct own_files *files, int *fd, struct error *err);

/* The machine type that KVM_CREATE_VM takes for this layout. -1 when the host
 * has too few address bits for it. */
int arch_vm_type(int kvm_fd, const struct vm_layout *layout,
		 unsigned long *type, struct error *err);

/* What must exist before memory and vCPUs, the interrupt controller above
 * all. */
int arch_create_irqchip(struct platform *platform, struct error *err);
void arch_destroy_irqchip(struct platform *platform);

/* Features and identity of one vCPU, which was just created; no registers.
 * arch_forget_vcpus() frees what was kept from one to the next. */
int arch_init_vcpu(struct platform *platform, struct vcpu *vcpu,
		   struct error *err);
void arch_forget_vcpus(struct platform *platform);

/* An edge on an input of the interrupt controller, for struct irq_line. Any
 * thread, but one at a time for each gsi. */
void arch_raise_irq(int vm_fd, uint32_t gsi);

/* With all vCPUs there: makes the interrupt controller ready for lines, then
 * puts serial port, power registers and what else the platform has on their
 * buses. */
int arch_create_devices(struct platform *platform, struct vcpus *vcpus,
			struct error *err);
void arch_destroy_devices(struct platform *platform);

/* Loads kernel and initrd, writes the tables that describe the machine, and
 * sets the registers of the first vCPU. The others wait for it. */
int arch_load(struct platform *platform, const struct boot_files *files,
	      const char *cmdline, struct vcpu *first, struct error *err);

/* An exit that the common loop does not know. False: nobody knows it. On the
 * vCPU's thread. */
bool arch_handle_exit(struct vcpu *vcpu);

/* Presses the power button; false when the machine has none. Event loop. */
bool arch_press_power_button(struct platform *platform);

/* Whether the guest's last restart was a panic's. All vCPUs have ended. */
bool arch_reset_was_panic(const struct platform *platform);

/* One line on where a vCPU stands: instruction pointer and bytes. On its
 * thread. */
void arch_describe_vcpu(struct vcpu *vcpu, char *text, size_t size);
