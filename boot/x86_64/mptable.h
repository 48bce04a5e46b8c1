/* The table that tells kernels without ACPI of CPUs and interrupts.
 *
 * Intel MultiProcessor Specification 1.4, chapter 4. One I/O APIC, whose pins
 * 0-23 are the ISA bus's interrupts 0-23: ISA has 16 only, but the kernels
 * that read this table take the number as it stands, so that a device on
 * GSI n is found as interrupt n, edge-triggered and active high.
 * Set-up thread, before any vCPU.
 */
#pragma once

#include "base/error.h"
#include "base/guest_mem.h"

#define MPTABLE_CPUS_MAX 64

/* Writes table and floating pointer for cpu_count CPUs, whose APIC ids are
 * 0, 1, ... 0, or -1 with ERROR_USAGE for a count outside 1-64 and
 * ERROR_IMAGE where guest memory does not cover the addresses. */
int mptable_build(const struct guest_mem *mem, unsigned cpu_count,
		  struct error *err);
