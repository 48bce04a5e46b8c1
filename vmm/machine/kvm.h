/* Thin wrappers over the KVM ioctls that create and wire a VM
 * (Linux Documentation/virt/kvm/api.rst). Only the set-up thread calls these,
 * but for ioeventfds, which any vCPU thread may attach and detach.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/guest_mem.h"

/* Opens /dev/kvm and checks API version and the extensions onggi needs. The
 * error says what a user can do. -1 with err set, else the descriptor. */
int kvm_open(struct error *err);

/* A new VM of the architecture's machine type, ended by close() or
 * kvm_close_vm(). */
int kvm_create_vm(int kvm_fd, unsigned long type, struct error *err);

/* Ends a VM whose vCPUs are closed, and does not wait: the kernel takes it down
 * in a worker of its own, where io_uring is allowed. fd may be -1. */
void kvm_close_vm(int fd);

/* Makes every region of mem visible to the guest. */
int kvm_set_memory(int vm_fd, const struct guest_mem *mem, struct error *err);

/* Sets an input of KVM's interrupt controllers, numbered as the architecture
 * has it. Acts at once, without a kernel's worker, which an irqfd needs where
 * the line does not lead to an MSI. */
void kvm_set_irq(int vm_fd, uint32_t irq, bool level);

/* A 32-bit write of datum to the MMIO address addr signals fd. 0 or -errno. */
int kvm_attach_ioevent(int vm_fd, uint64_t addr, uint32_t datum, int fd);
void kvm_detach_ioevent(int vm_fd, uint64_t addr, uint32_t datum, int fd);
