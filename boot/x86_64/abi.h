/* Structures that an x86-64 guest kernel finds in its memory at entry.
 *
 * Linux: Documentation/arch/x86/boot.rst ("The Real-Mode Kernel Header") and
 * zero-page.rst. PVH: Xen's public/arch-x86/hvm/start_info.h, version 1.
 * Fields nobody here reads or writes are left unnamed.
 */
#pragma once

#include <assert.h>
#include <stddef.h>

#include "base/le_types.h"

/* ---- Linux boot protocol ---- */

#define LINUX_BOOT_FLAG 0xaa55
#define LINUX_HEADER_MAGIC 0x53726448 /* "HdrS" */
#define LINUX_PROTOCOL_2_12 0x020c

enum {
	LOADFLAG_LOADED_HIGH = 1 << 0,
	LOADFLAG_CAN_USE_HEAP = 1 << 7,
	XLOADFLAG_KERNEL_64 = 1 << 0,
	LOADER_TYPE_UNDEFINED = 0xff,
};

struct linux_setup_header {
	uint8_t setup_sects;
	le16_t root_flags;
	le32_t syssize; /* 16-byte paragraphs of protected-mode code */
	le16_t ram_size;
	le16_t vid_mode;
	le16_t root_dev;
	le16_t boot_flag;
	uint8_t jump;
	uint8_t header_length; /* the header ends at 0x202 + this */
	le32_t header;
	le16_t version;
	uint8_t realmode[6];
	le16_t kernel_version; /* of a string: 0x200 less than its offset */
	uint8_t type_of_loader;
	uint8_t loadflags;
	le16_t setup_move_size;
	le32_t code32_start;
	le32_t ramdisk_image;
	le32_t ramdisk_size;
	uint8_t obsolete[4];
	le16_t heap_end_ptr;
	uint8_t ext_loader_ver;
	uint8_t ext_loader_type;
	le32_t cmd_line_ptr;
	le32_t initrd_addr_max;
	le32_t kernel_alignment;
	uint8_t relocatable_kernel;
	uint8_t min_alignment;
	le16_t xloadflags;
	le32_t cmdline_size;
	le32_t hardware_subarch;
	le64_t hardware_subarch_data;
	le32_t payload_offset;
	le32_t payload_length;
	le64_t setup_data;
	le64_t pref_address;
	le32_t init_size;
	le32_t handover_offset;
	le32_t kernel_info_offset;
};

#define SETUP_FIELD(field, where)                                           \
	static_assert(0x1f1 + offsetof(struct linux_setup_header, field) == \
			      (where),                                      \
		      "boot.rst: " #field)
SETUP_FIELD(syssize, 0x1f4);
SETUP_FIELD(boot_flag, 0x1fe);
SETUP_FIELD(header_length, 0x201);
SETUP_FIELD(header, 0x202);
SETUP_FIELD(version, 0x206);
SETUP_FIELD(kernel_version, 0x20e);
SETUP_FIELD(type_of_loader, 0x210);
SETUP_FIELD(loadflags, 0x211);
SETUP_FIELD(code32_start, 0x214);
SETUP_FIELD(ramdisk_image, 0x218);
SETUP_FIELD(cmd_line_ptr, 0x228);
SETUP_FIELD(initrd_addr_max, 0x22c);
SETUP_FIELD(kernel_alignment, 0x230);
SETUP_FIELD(relocatable_kernel, 0x234);
SETUP_FIELD(xloadflags, 0x236);
SETUP_FIELD(cmdline_size, 0x238);
SETUP_FIELD(pref_address, 0x258);
SETUP_FIELD(init_size, 0x260);
#undef SETUP_FIELD
static_assert(sizeof(struct linux_setup_header) == 0x26c - 0x1f1,
	      "boot.rst: protocol 2.15");

/* Types of memory: ACPI 6.5 section 15, "System Address Map Interfaces". */
enum e820_type {
	E820_RAM = 1,
	E820_RESERVED = 2,
	E820_ACPI = 3,
};

struct linux_e820_entry {
	le64_t addr;
	le64_t size;
	le32_t type;
};

static_assert(sizeof(struct linux_e820_entry) == 20, "boot_e820_entry");

/* struct boot_params, the zero page. */
struct linux_zero_page {
	uint8_t unused_000[0x70];
	le64_t acpi_rsdp_addr;
	uint8_t unused_078[0x48];
	le32_t ext_ramdisk_image; /* bits 32-63 of hdr's field */
	le32_t ext_ramdisk_size;
	le32_t ext_cmd_line_ptr;
	uint8_t unused_0cc[0x11c];
	uint8_t e820_entries;
	uint8_t unused_1e9[8];
	struct linux_setup_header hdr;
	uint8_t unused_26c[0x64];
	struct linux_e820_entry e820_table[128];
	uint8_t unused_cd0[0x330];
};

static_assert(offsetof(struct linux_zero_page, acpi_rsdp_addr) == 0x70,
	      "zero-page.rst");
static_assert(offsetof(struct linux_zero_page, ext_ramdisk_image) == 0xc0,
	      "zero-page.rst");
static_assert(offsetof(struct linux_zero_page, e820_entries) == 0x1e8,
	      "zero-page.rst");
static_assert(offsetof(struct linux_zero_page, hdr) == 0x1f1, "zero-page.rst");
static_assert(offsetof(struct linux_zero_page, e820_table) == 0x2d0,
	      "zero-page.rst");
static_assert(sizeof(struct linux_zero_page) == 4096, "zero-page.rst");

/* ---- PVH ---- */

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
