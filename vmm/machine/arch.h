/* What the machine asks of an architecture. Each has a folder, which implements
 * these functions and says in arch_config.h and arch_state.h what it adds to
 * configuration and platform. Everything else in vmm/ serves all architectures.
 *
 * Set-up thread, but where another is named. Functions that return int return
 * -1 with err set.
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

/* The file name of the kernel that guest-images/ builds, and the folder of the
 * architecture below that of all images. */
extern const char arch_kernel_name[];
extern const char arch_images_suffix[];

/* Settles the values in config->arch that depend on the kernel file, if the
 * user left them open. */
void arch_settle_config(struct vm_config *config);

/* Fills the memory map and the device slots; opens nothing. Fails when the
 * configuration does not fit into the address space. */
int arch_layout(const struct vm_config *config, struct vm_layout *layout,
		struct error *err);

/* Prints the architecture's words of the default kernel command line, and
 * those that the layout needs. */
void arch_print_cmdline(const struct vm_config *config,
			const struct vm_layout *layout, FILE *out);

/* Opens the file that the machine's description is written to, if the user
 * wants one; *fd stays as it is otherwise. */
int arch_open_dump(const struct vm_config *config, struct own_files *files,
		   int *fd, struct error *err);

/* Creates a VM with room for this layout. Returns its descriptor as
 * kvm_create_vm() does. Fails when the host has too few address bits. */
int arch_create_vm(int kvm_fd, const struct vm_layout *layout,
		   struct error *err);

/* Creates the interrupt controller, and everything of the architecture that
 * needs an end. arch_destroy() takes what a failure leaves. */
int arch_create(struct platform *platform, struct error *err);
void arch_destroy(struct platform *platform);

/* Gives a vCPU that was just created its features and identity, but no
 * registers. */
int arch_init_vcpu(struct vcpu *vcpu, struct error *err);

/* Makes the interrupt controller ready for lines, then puts the serial port,
 * the power registers and the architecture's own devices on their buses. All
 * vCPUs exist. */
int arch_create_devices(struct platform *platform, struct error *err);

/* Raises an edge on an input of the interrupt controller, for struct irq_line.
 * Any thread, but one at a time for each gsi. */
void arch_raise_irq(int vm_fd, uint32_t gsi);

/* Loads kernel and initrd, writes the tables that describe the machine, and
 * sets the registers of the first vCPU. The guest starts the other vCPUs. */
int arch_load(struct platform *platform, const struct boot_files *files,
	      const char *cmdline, struct error *err);

/* Handles an exit that the common loop does not know. False when the
 * architecture does not know it either. The vCPU's thread. */
bool arch_handle_exit(struct vcpu *vcpu);

/* Presses the power button. False when the machine has none. Event loop. */
bool arch_press_power_button(struct platform *platform);

/* Whether the guest's last restart followed a panic. All vCPUs have ended. */
bool arch_reset_was_panic(const struct platform *platform);

/* Writes one line that says where a vCPU stands: instruction pointer and
 * instruction. text is cut at size bytes. The vCPU's thread. */
void arch_describe_vcpu(struct vcpu *vcpu, char *text, size_t size);
