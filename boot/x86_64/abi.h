/* What an x86-64 guest kernel finds in its memory at entry, as far as
 * <asm/bootparam.h> does not have it.
 *
 * Linux: Documentation/arch/x86/boot.rst ("The Real-Mode Kernel Header"). PVH:
 * Xen's public/arch-x86/hvm/start_info.h, version 1.
 */
#pragma once

#include <assert.h>
#include <stddef.h>

#include "base/le_types.h"

#define LINUX_BOOT_FLAG 0xaa55
#define LINUX_HEADER_MAGIC 0x53726448 /* "HdrS" */
#define LINUX_PROTOCOL_2_12 0x020c
#define LINUX_LOADER_UNDEFINED 0xff

#define PVH_START_MAGIC 0x336ec578

struct pvh_start_info {
	le32_t magic;
	le32_t version;
	le32_t flags;
	le32_t nr_modules;
	le64_t modlist_paddr;
	le64_t cmdline_paddr;
	le64_t rsdp_paddr;
	le64_t memmap_paddr;
	le32_t memmap_entries;
	le32_t reserved;
};

static_assert(offsetof(struct pvh_start_info, rsdp_paddr) == 32,
	      "start_info.h");
static_assert(sizeof(struct pvh_start_info) == 56, "start_info.h, version 1");

struct pvh_module {
	le64_t paddr;
	le64_t size;
	le64_t cmdline_paddr;
	le64_t reserved;
};

static_assert(sizeof(struct pvh_module) == 32, "start_info.h");

struct pvh_memmap_entry {
	le64_t addr;
	le64_t size;
	le32_t type;
	le32_t reserved;
};

static_assert(sizeof(struct pvh_memmap_entry) == 24, "start_info.h");
