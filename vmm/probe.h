/* Whether this KVM really runs kernel code. Some do not: a hypervisor without
 * hardware support may pass every ioctl and then give up on the first
 * instruction its emulator does not know. */
#pragma once

#include "base/error.h"

/* Runs a few instructions that every 64-bit kernel uses on a vCPU in long
 * mode. -1 with ERROR_KVM, where and why, when they do not come to their end.
 * Implemented per architecture. */
int probe_kernel_mode(int kvm_fd, struct error *err);
