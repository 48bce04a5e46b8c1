#include "boot/x86_64/setup.h"

#include <asm/bootparam.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "boot/x86_64/abi.h"
#include "boot/x86_64/layout.h"
#include "boot/x86_64/memory_map.h"

#define GIB (1ULL << 30)
#define PAGE 4096

/* boot.rst, "64-bit Boot Protocol": __BOOT_CS is 0x10 and __BOOT_DS 0x18. PVH
 * prescribes no selectors. */
enum gdt_index {
	GDT_CODE = 2,
	GDT_DATA = 3,
	GDT_TASK = 4, /* and 5, because it has 16 bytes in long mode */
	GDT_ENTRIES = 6,
};

/* Segment descriptors, Intel SDM volume 3, 3.4.5 and 7.2. All have base 0, and
 * the accessed and busy bits that a CPU would set. */
#define DESCRIPTOR_CODE_64 0x00af9b000000ffffULL
#define DESCRIPTOR_CODE_32 0x00cf9b000000ffffULL
#define DESCRIPTOR_DATA 0x00cf93000000ffffULL
#define DESCRIPTOR_TASK 0x00008b0000000067ULL

/* Page table entries, Intel SDM volume 3, 4.5.4. */
#define PTE_TABLE 0x3ULL       /* present, writable */
#define PTE_LARGE_PAGE 0x83ULL /* the same, and a 2 MiB page */
#define PAGE_DIRECTORIES_MAX \
	((X86_64_PAGE_TABLES_END - X86_64_PAGE_TABLES) / PAGE - 2)

static int setup_write(const struct guest_mem *mem, uint64_t gpa,
		       const void *data, size_t len, struct error *err)
{
	if (guest_write(mem, gpa, data, len) < 0)
		return error_image(err,
				   "no guest memory at %#" PRIx64
				   " for the kernel's boot data",
				   gpa);
	return 0;
}

static int setup_cmdline(const struct guest_mem *mem,
			 const struct x86_64_boot *boot, struct error *err)
{
	size_t len = strlen(boot->cmdline);
	size_t max = X86_64_CMDLINE_END - X86_64_CMDLINE - 1;

	if (max > boot->kernel->cmdline_max)
		max = boot->kernel->cmdline_max;
	if (len > max)
		return error_usage(err,
				   "kernel command line of %zu bytes; this "
				   "kernel takes at most %zu",
				   len, max);
	return setup_write(mem, X86_64_CMDLINE, boot->cmdline, len + 1, err);
}

static int setup_gdt(const struct guest_mem *mem, struct x86_64_entry *out,
		     struct error *err)
{
	bool long_mode = out->protocol == KERNEL_LINUX64;
	le64_t gdt[GDT_ENTRIES] = { 0 };

	gdt[GDT_CODE] =
		le64(long_mode ? DESCRIPTOR_CODE_64 : DESCRIPTOR_CODE_32);
	gdt[GDT_DATA] = le64(DESCRIPTOR_DATA);
	gdt[GDT_TASK] = le64(DESCRIPTOR_TASK);

	out->gdt_base = X86_64_GDT;
	out->gdt_limit = sizeof(gdt) - 1;
	out->code_selector = GDT_CODE * 8;
	out->data_selector = GDT_DATA * 8;
	out->task_selector = GDT_TASK * 8;
	return setup_write(mem, X86_64_GDT, gdt, sizeof(gdt), err);
}

static int setup_page_directory(const struct guest_mem *mem, unsigned gib,
				struct error *err)
{
	le64_t entries[PAGE / 8];

	for (unsigned i = 0; i < ARRAY_SIZE(entries); i++)
		entries[i] =
			le64((gib * GIB + i * (GIB / 512)) | PTE_LARGE_PAGE);
	return setup_write(mem, X86_64_PAGE_TABLES + (2 + gib) * PAGE, entries,
			   sizeof(entries), err);
}

/* Maps addresses to themselves, from 0 to the end of the GiB in which the
 * kernel ends, so that boot data below 1 MiB is mapped, too. The initrd need
 * not be. Pages have 2 MiB, because not every CPU has larger ones. */
static int setup_page_tables(const struct guest_mem *mem,
			     const struct kernel_image *kernel,
			     struct error *err)
{
	uint64_t gibs = (kernel->end + (GIB - 1)) / GIB;
	le64_t entry = le64((X86_64_PAGE_TABLES + PAGE) | PTE_TABLE);

	if (kernel->end == 0 || kernel->end > PAGE_DIRECTORIES_MAX * GIB)
		return error_image(err,
				   "kernel ends at %#" PRIx64
				   "; wanted: below 4 GiB",
				   kernel->end);
	if (setup_write(mem, X86_64_PAGE_TABLES, &entry, sizeof(entry), err) <
	    0)
		return -1;
	for (unsigned i = 0; i < gibs; i++) {
		entry = le64((X86_64_PAGE_TABLES + (2 + i) * PAGE) | PTE_TABLE);
		if (setup_write(mem, X86_64_PAGE_TABLES + PAGE + 8 * i, &entry,
				sizeof(entry), err) < 0 ||
		    setup_page_directory(mem, i, err) < 0)
			return -1;
	}
	return 0;
}

/* An ELF has no setup header, and its kernel reads only the fields that are set
 * here. */
static void zero_page_fill_header(struct boot_params *zero,
				  const struct kernel_image *kernel)
{
	struct setup_header *hdr = &zero->hdr;

	if (kernel->arch.setup_header_size > 0) {
		memcpy((uint8_t *)zero + SETUP_HEADER_OFFSET,
		       kernel->arch.setup_header,
		       kernel->arch.setup_header_size);
		hdr->code32_start = (uint32_t)kernel->start;
	} else {
		hdr->boot_flag = LINUX_BOOT_FLAG;
		hdr->header = LINUX_HEADER_MAGIC;
		hdr->version = LINUX_PROTOCOL_2_12;
		hdr->cmdline_size = kernel->cmdline_max;
	}
	hdr->type_of_loader = LINUX_LOADER_UNDEFINED;
	hdr->loadflags |= LOADED_HIGH;
	hdr->loadflags &= (uint8_t)~CAN_USE_HEAP;
}

static int setup_zero_page(const struct guest_mem *mem,
			   const struct x86_64_boot *boot, struct error *err)
{
	struct boot_params zero = { 0 };

	zero_page_fill_header(&zero, boot->kernel);
	zero.hdr.cmd_line_ptr = X86_64_CMDLINE;
	zero.hdr.ramdisk_image = (uint32_t)boot->initrd.gpa;
	zero.hdr.ramdisk_size = (uint32_t)boot->initrd.size;
	zero.ext_ramdisk_image = (uint32_t)(boot->initrd.gpa >> 32);
	zero.ext_ramdisk_size = (uint32_t)(boot->initrd.size >> 32);
	zero.acpi_rsdp_addr = boot->rsdp;
	zero.e820_entries =
		(uint8_t)x86_64_memory_map_build(mem, zero.e820_table);
	return setup_write(mem, X86_64_ZERO_PAGE, &zero, sizeof(zero), err);
}

/* The start info and what it points at. */
struct pvh_block {
	struct pvh_start_info info;
	struct pvh_module initrd;
	struct pvh_memmap_entry map[X86_64_MEMORY_MAP_MAX];
};

static_assert(sizeof(struct pvh_block) <= X86_64_ZERO_PAGE - X86_64_PVH_INFO,
	      "the PVH start info fits its place");

static int setup_pvh_info(const struct guest_mem *mem,
			  const struct x86_64_boot *boot, struct error *err)
{
	struct boot_e820_entry map[X86_64_MEMORY_MAP_MAX];
	unsigned ranges = x86_64_memory_map_build(mem, map);
	const uint64_t base = X86_64_PVH_INFO;
	struct pvh_block block = {
		.info.magic = le32(PVH_START_MAGIC),
		.info.version = le32(1),
		.info.cmdline_paddr = le64(X86_64_CMDLINE),
		.info.rsdp_paddr = le64(boot->rsdp),
		.info.memmap_entries = le32(ranges),
		.info.memmap_paddr =
			le64(base + offsetof(struct pvh_block, map)),
	};

	if (boot->initrd.size > 0) {
		block.info.nr_modules = le32(1);
		block.info.modlist_paddr =
			le64(base + offsetof(struct pvh_block, initrd));
		block.initrd.paddr = le64(boot->initrd.gpa);
		block.initrd.size = le64(boot->initrd.size);
	}
	for (unsigned i = 0; i < ranges; i++) {
		block.map[i] = (struct pvh_memmap_entry){
			.addr = le64(map[i].addr),
			.size = le64(map[i].size),
			.type = le32(map[i].type),
		};
	}
	return setup_write(mem, base, &block, sizeof(block), err);
}

int x86_64_setup_boot(const struct guest_mem *mem,
		      const struct x86_64_boot *boot, struct x86_64_entry *out,
		      struct error *err)
{
	*out = (struct x86_64_entry){
		.protocol = boot->kernel->arch.protocol,
		.rip = boot->kernel->entry,
		.rsp = X86_64_STACK_TOP,
	};
	if (setup_cmdline(mem, boot, err) < 0 || setup_gdt(mem, out, err) < 0)
		return -1;
	if (out->protocol == KERNEL_PVH) {
		out->rbx = X86_64_PVH_INFO;
		return setup_pvh_info(mem, boot, err);
	}
	out->rsi = X86_64_ZERO_PAGE;
	out->cr3 = X86_64_PAGE_TABLES;
	if (setup_page_tables(mem, boot->kernel, err) < 0)
		return -1;
	return setup_zero_page(mem, boot, err);
}
