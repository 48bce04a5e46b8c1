/* Finds out whether this KVM really runs kernel code. One without hardware
 * support may accept every ioctl and then give up on the first instruction that
 * its emulator does not know. Main thread. */
#pragma once

#include <linux/kvm.h>
#include <stdint.h>

#include "base/error.h"

/* Has a vCPU run a few instructions that every kernel uses, in kernel mode. -1
 * with ERROR_KVM when it does not come to their end; err says where it stopped
 * and why. */
int probe_kernel_mode(int kvm_fd, struct error *err);

/* What an architecture brings: write() puts its program into PROBE_SIZE bytes
 * of memory at base, enter() makes a vCPU begin there, and judge() tells
 * whether the vCPU's exit is the one at the program's end. enter() and judge()
 * return -1 with err set. */
#define PROBE_SIZE 0x10000 /* whole pages, however large the host's are */

struct probe_program {
	uint64_t base; /* guest physical address */
	void (*write)(uint8_t *memory);
	int (*enter)(int vm_fd, int vcpu_fd, struct error *err);
	int (*judge)(int vcpu_fd, const struct kvm_run *run, struct error *err);
};

extern const struct probe_program probe_program;
