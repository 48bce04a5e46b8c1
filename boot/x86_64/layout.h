/* The fixed addresses in the first MiB of an x86-64 guest. Kernels start at 1
 * MiB (KERNEL_LOWEST) or above.
 *
 *   0x00500  GDT
 *   0x06000  PVH start info, its module list and memory map
 *   0x07000  zero page
 *   0x08000  stack page; neither protocol needs one
 *   0x09000  page tables: PML4, PDPT, then one directory per GiB mapped
 *   0x20000  command line, up to 64 KiB with its NUL
 *   0x9f000  MP configuration table
 *   0x9fc00  MP floating pointer, in the last KiB of base memory, where kernels
 *            look for it (MP specification 1.4, section 4)
 *   0xa0000  no RAM in the memory map: once VGA and option ROMs
 *   0xe0000  ACPI tables, the RSDP first, where kernels look for it (ACPI 6.5,
 *            5.2.5.1)
 *
 * The memory map lets the guest reuse everything below 0x9f000, and the ACPI
 * tables, as soon as it has read them. The MP table stays reserved.
 */
#pragma once

#define X86_64_GDT 0x500
#define X86_64_PVH_INFO 0x6000
#define X86_64_ZERO_PAGE 0x7000
#define X86_64_STACK_TOP 0x9000
#define X86_64_PAGE_TABLES 0x9000
#define X86_64_PAGE_TABLES_END 0xf000
#define X86_64_CMDLINE 0x20000
#define X86_64_CMDLINE_END 0x30000
#define X86_64_MPTABLE 0x9f000
#define X86_64_MP_POINTER 0x9fc00
#define X86_64_BASE_MEMORY_END 0xa0000
#define X86_64_ACPI 0xe0000
#define X86_64_ACPI_END 0x100000
#define X86_64_HIGH_MEMORY 0x100000

/* Interrupt controllers, at the addresses of every PC. */
#define X86_64_IO_APIC 0xfec00000
#define X86_64_LOCAL_APIC 0xfee00000
