/* Whether this KVM really runs kernel code. Some do not: a hypervisor without
 * hardware support may pass every ioctl and then give up on the first
 * instruction its emulator does not know. Main thread. */
#pragma once

#include <linux/kvm.h>
#include <stdint.h>

#include "base/error.h"

/* Runs a few instructions that every kernel uses on a vCPU in kernel mode. -1
 * with ERROR_KVM, where and why, when they do not come to their end. */
int probe_kernel_mode(int kvm_fd, struct error *err);

/* What an architecture brings: a program for PROBE_SIZE bytes of memory at
 * base, how a vCPU enters it, and whether the exit it made is the one at its
 * end. */
#define PROBE_SIZE 0x10000 /* a page, however large the host's are */

struct probe_program {
	uint64_t base; /* guest physical address */
	void (*write)(uint8_t *memory);
	int (*enter)(int vm_fd, int vcpu_fd, struct error *err);
	int (*judge)(int vcpu_fd, const struct kvm_run *run, struct error *err);
};

extern const struct probe_program probe_program;
