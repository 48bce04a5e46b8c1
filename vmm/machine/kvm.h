/* The KVM ioctls that create and wire a VM (Linux
 * Documentation/virt/kvm/api.rst). Set-up thread, but where another is named.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/guest_mem.h"
#include "base/ioeventfd.h"

/* Opens /dev/kvm and checks that it has the API version and the extensions that
 * onggi needs. Returns the descriptor, or -1 with err set, which says what a
 * user can do. */
int kvm_open(struct error *err);

/* Creates a VM. type is the architecture's machine type, as KVM_CREATE_VM takes
 * it. Returns a descriptor for close() or kvm_close_vm(), or -1 with err
 * set. */
int kvm_create_vm(int kvm_fd, unsigned long type, struct error *err);

/* Ends a VM whose vCPUs are closed. Where io_uring is allowed, the kernel takes
 * the VM down in a worker, and nobody waits. fd -1 is fine. */
void kvm_close_vm(int fd);

/* Shows every region of mem to the guest. 0, or -1 with err set. */
int kvm_set_memory(int vm_fd, const struct guest_mem *mem, struct error *err);

/* Sets the level of an input of KVM's interrupt controllers; the architecture
 * says what irq counts. Takes effect before it returns, while an irqfd would go
 * through a worker of the kernel for a line that is no MSI. Any thread. */
void kvm_set_irq(int vm_fd, uint32_t irq, bool level);

/* The context is a pointer to the VM's descriptor. */
extern const struct ioeventfd_ops kvm_ioeventfd_ops;
