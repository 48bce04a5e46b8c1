/* Writes the structures that an x86-64 kernel expects in memory at entry, and
 * says what the registers must hold then.
 *
 * Two protocols: Linux's 64-bit boot protocol (boot.rst: zero page, page
 * tables, GDT) and PVH (Xen docs/misc/pvh: hvm_start_info, GDT). Addresses
 * are those of layout.h. Set-up thread, before any vCPU.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/guest_mem.h"
#include "boot/initrd.h"
#include "boot/kernel.h"

struct x86_64_boot {
	const struct kernel_image *kernel;
	const char *cmdline;  /* NUL-terminated, may be empty */
	struct initrd initrd; /* size 0: none */
	uint64_t rsdp;	      /* gpa of the ACPI root pointer; 0: none */
};

/* Registers of the first vCPU. rflags is 2, and all general registers that are
 * not listed are 0.
 *
 * LINUX64: long mode with paging: CR0.PE|PG, CR4.PAE, EFER.LME|LMA, CS a
 * 64-bit code segment.
 * PVH: 32-bit protected mode without paging: CR0.PE only, CR4 and EFER 0, CS
 * a 32-bit code segment, TR a busy 32-bit TSS with base 0 and limit 0x67.
 * Data segments are flat, base 0, limit 4 GiB, in both. */
struct x86_64_entry {
	enum kernel_protocol protocol; /* KERNEL_LINUX64 or KERNEL_PVH */
	uint64_t rip;
	uint64_t rsp;
	uint64_t rsi; /* LINUX64: the zero page */
	uint64_t rbx; /* PVH: the start info */
	uint64_t cr3; /* LINUX64; 0 for PVH */
	uint64_t gdt_base;
	uint16_t gdt_limit;
	uint16_t code_selector; /* CS */
	uint16_t data_selector; /* DS, ES, SS */
	uint16_t task_selector; /* TR */
};

/* 0, or -1 with ERROR_USAGE for a command line that is too long and ERROR_IMAGE
 * for a kernel that ends above 4 GiB or for too little guest memory. */
int x86_64_setup_boot(const struct guest_mem *mem,
		      const struct x86_64_boot *boot, struct x86_64_entry *out,
		      struct error *err);
