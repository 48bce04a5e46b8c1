/* The table from which kernels without ACPI learn about CPUs and interrupts.
 *
 * Intel MultiProcessor Specification 1.4, chapter 4. There is one I/O APIC,
 * whose pins 0 to 23 are interrupts 0 to 23 of the ISA bus. A real ISA bus has
 * only 16, but kernels accept the higher numbers, so that the device on GSI n
 * has interrupt n, edge-triggered and active high. Set-up thread, before any
 * vCPU.
 */
#pragma once

#include "base/error.h"
#include "base/guest_mem.h"

#define MPTABLE_CPUS_MAX 64

/* Writes the table and its floating pointer. The APIC ids of the CPUs are 0, 1
 * and so on. 0, or -1 with ERROR_USAGE for a cpu_count outside 1 to
 * MPTABLE_CPUS_MAX and ERROR_IMAGE if guest memory does not cover the addresses.
 */
int mptable_build(const struct guest_mem *mem, unsigned cpu_count,
		  struct error *err);
