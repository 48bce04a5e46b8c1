/* boot/x86_64/setup and memory_map: what a kernel finds at entry, read back by
 * the layouts the specifications give. */
#include "tests/unit/boot/boot_fixture.h"

#include <asm/bootparam.h>

#include "boot/x86_64/abi.h"
#include "boot/x86_64/layout.h"
#include "boot/x86_64/memory_map.h"
#include "boot/x86_64/setup.h"

#define GIB (1ULL << 30)

static struct kernel_image kernel_make(enum kernel_protocol protocol)
{
	return (struct kernel_image){
		.arch.protocol = protocol,
		.entry = 0x1000200,
		.start = 0x1000000,
		.end = 0x1800000,
		.initrd_max = 0x7fffffff,
		.cmdline_max = 2047,
	};
}

static const void *at(const struct guest_mem *mem, uint64_t gpa, size_t len)
{
	const void *host = guest_range(mem, gpa, len);

	assert_non_null(host);
	return host;
}

/* Walks the page tables for a linear address; UINT64_MAX: not mapped. */
static uint64_t translate(const struct guest_mem *mem, uint64_t cr3,
			  uint64_t linear)
{
	uint64_t table = cr3;

	for (int shift = 39; shift >= 21; shift -= 9) {
		uint64_t index = (linear >> shift) & 511;
		const le64_t *entry = at(mem, table + 8 * index, 8);
		uint64_t value = le64_get(*entry);

		if ((value & 3) != 3)
			return UINT64_MAX;
		table = value & 0x000ffffffffff000;
		if (shift == 21) {
			assert_true(value & 0x80);
			return table + (linear & 0x1fffff);
		}
	}
	return UINT64_MAX;
}

static void the_zero_page_tells_where_everything_is(void **state)
{
	struct guest_mem mem = memory_make(64 * MIB);
	struct kernel_image kernel = kernel_make(KERNEL_LINUX64);
	struct x86_64_boot boot = {
		.kernel = &kernel,
		.cmdline = "console=ttyS0 quiet",
		.initrd = { .gpa = 0x123456000, .size = 0x234567890 },
		.rsdp = 0xe0000,
	};
	struct error err = { 0 };
	const struct boot_params *zero;
	struct x86_64_entry entry;

	(void)state;
	assert_int_equal(x86_64_setup_boot(&mem, &boot, &entry, &err), 0);
	zero = at(&mem, entry.rsi, sizeof(*zero));
	assert_int_equal(entry.rip, 0x1000200);
	assert_int_equal(zero->hdr.boot_flag, 0xaa55);
	assert_int_equal(zero->hdr.header, 0x53726448);
	assert_int_equal(zero->hdr.type_of_loader, 0xff);
	assert_int_equal(zero->hdr.loadflags, 1);
	assert_string_equal(at(&mem, zero->hdr.cmd_line_ptr, 20),
			    "console=ttyS0 quiet");
	assert_int_equal(zero->hdr.ramdisk_image, 0x23456000);
	assert_int_equal(zero->ext_ramdisk_image, 1);
	assert_int_equal(zero->hdr.ramdisk_size, 0x34567890);
	assert_int_equal(zero->ext_ramdisk_size, 2);
	assert_int_equal(zero->acpi_rsdp_addr, 0xe0000);
	assert_int_equal(zero->sentinel, 0);
	memory_free(&mem);
}

static void a_bzimage_header_is_kept_where_the_loader_has_no_say(void **state)
{
	struct guest_mem mem = memory_make(64 * MIB);
	struct kernel_image kernel = kernel_make(KERNEL_LINUX64);
	struct setup_header hdr = {
		.header = LINUX_HEADER_MAGIC,
		.version = 0x20f,
		.loadflags = LOADED_HIGH | CAN_USE_HEAP,
		.init_size = 0x800000,
		.root_dev = 0x1234,
	};
	struct x86_64_boot boot = { .kernel = &kernel, .cmdline = "" };
	struct error err = { 0 };
	const struct boot_params *zero;
	struct x86_64_entry entry;

	(void)state;
	memcpy(kernel.arch.setup_header, &hdr, sizeof(hdr));
	kernel.arch.setup_header_size = sizeof(hdr);
	assert_int_equal(x86_64_setup_boot(&mem, &boot, &entry, &err), 0);
	zero = at(&mem, entry.rsi, sizeof(*zero));
	assert_int_equal(zero->hdr.version, 0x20f);
	assert_int_equal(zero->hdr.init_size, 0x800000);
	assert_int_equal(zero->hdr.root_dev, 0x1234);
	assert_int_equal(zero->hdr.code32_start, 0x1000000);
	assert_int_equal(zero->hdr.loadflags, LOADED_HIGH);
	memory_free(&mem);
}

static void page_tables_map_the_kernel_and_boot_data_to_themselves(void **state)
{
	struct guest_mem mem = memory_make(64 * MIB);
	struct kernel_image kernel = kernel_make(KERNEL_LINUX64);
	struct x86_64_boot boot = { .kernel = &kernel, .cmdline = "" };
	struct error err = { 0 };
	struct x86_64_entry entry;

	(void)state;
	kernel.end = GIB; /* one GiB is the first directory */
	assert_int_equal(x86_64_setup_boot(&mem, &boot, &entry, &err), 0);
	for (uint64_t a = 0; a < GIB; a += 0x1ff000)
		assert_int_equal(translate(&mem, entry.cr3, a), a);
	assert_int_equal(translate(&mem, entry.cr3, GIB), UINT64_MAX);
	kernel.end = 4 * GIB;
	assert_int_equal(x86_64_setup_boot(&mem, &boot, &entry, &err), 0);
	for (uint64_t a = 0; a < 4 * GIB; a += 0x1ff000)
		assert_int_equal(translate(&mem, entry.cr3, a), a);
	kernel.end = 4 * GIB + 1;
	assert_int_equal(x86_64_setup_boot(&mem, &boot, &entry, &err), -1);
	assert_int_equal(err.class, ERROR_IMAGE);
	memory_free(&mem);
}

static void the_gdt_has_the_selectors_of_the_boot_protocol(void **state)
{
	struct guest_mem mem = memory_make(64 * MIB);
	struct kernel_image kernel = kernel_make(KERNEL_LINUX64);
	struct x86_64_boot boot = { .kernel = &kernel, .cmdline = "" };
	struct error err = { 0 };
	struct x86_64_entry entry;
	const le64_t *gdt;

	(void)state;
	assert_int_equal(x86_64_setup_boot(&mem, &boot, &entry, &err), 0);
	assert_int_equal(entry.code_selector, 0x10);
	assert_int_equal(entry.data_selector, 0x18);
	gdt = at(&mem, entry.gdt_base, entry.gdt_limit + 1U);
	assert_int_equal(le64_get(gdt[0]), 0);
	assert_int_equal(le64_get(gdt[2]), 0x00af9b000000ffff); /* L */
	assert_int_equal(le64_get(gdt[3]), 0x00cf93000000ffff);
	kernel.arch.protocol = KERNEL_PVH;
	assert_int_equal(x86_64_setup_boot(&mem, &boot, &entry, &err), 0);
	assert_int_equal(le64_get(gdt[2]), 0x00cf9b000000ffff); /* D */
	memory_free(&mem);
}

static void the_pvh_start_info_tells_where_everything_is(void **state)
{
	struct guest_mem mem = memory_make(64 * MIB);
	struct kernel_image kernel = kernel_make(KERNEL_PVH);
	struct x86_64_boot boot = {
		.kernel = &kernel,
		.cmdline = "quiet",
		.initrd = { .gpa = 0x3000000, .size = 12345 },
		.rsdp = 0xe0000,
	};
	struct error err = { 0 };
	const struct pvh_start_info *info;
	const struct pvh_module *module;
	const struct pvh_memmap_entry *map;
	struct x86_64_entry entry;

	(void)state;
	assert_int_equal(x86_64_setup_boot(&mem, &boot, &entry, &err), 0);
	assert_int_equal(entry.cr3, 0);
	info = at(&mem, entry.rbx, sizeof(*info));
	assert_int_equal(le32_get(info->magic), 0x336ec578);
	assert_int_equal(le32_get(info->version), 1);
	assert_int_equal(le64_get(info->rsdp_paddr), 0xe0000);
	assert_string_equal(at(&mem, le64_get(info->cmdline_paddr), 6),
			    "quiet");
	assert_int_equal(le32_get(info->nr_modules), 1);
	module = at(&mem, le64_get(info->modlist_paddr), sizeof(*module));
	assert_int_equal(le64_get(module->paddr), 0x3000000);
	assert_int_equal(le64_get(module->size), 12345);
	assert_int_equal(le32_get(info->memmap_entries), 4);
	map = at(&mem, le64_get(info->memmap_paddr), 4 * sizeof(*map));
	assert_int_equal(le64_get(map[0].size), 0x9f000);
	assert_int_equal(le32_get(map[0].type), E820_RAM);
	memory_free(&mem);
}

static void without_an_initrd_pvh_has_no_module(void **state)
{
	struct guest_mem mem = memory_make(64 * MIB);
	struct kernel_image kernel = kernel_make(KERNEL_PVH);
	struct x86_64_boot boot = { .kernel = &kernel, .cmdline = "" };
	struct error err = { 0 };
	const struct pvh_start_info *info;
	struct x86_64_entry entry;

	(void)state;
	assert_int_equal(x86_64_setup_boot(&mem, &boot, &entry, &err), 0);
	info = at(&mem, entry.rbx, sizeof(*info));
	assert_int_equal(le32_get(info->nr_modules), 0);
	assert_int_equal(le64_get(info->modlist_paddr), 0);
	memory_free(&mem);
}

static void the_memory_map_leaves_out_the_legacy_holes(void **state)
{
	/* described only: nothing is written */
	struct guest_mem mem = {
		.count = 2,
		.regions = { { .gpa = 0, .size = 3 * GIB },
			     { .gpa = 4 * GIB, .size = 5 * GIB } },
	};
	static const struct boot_e820_entry expect[] = {
		{ 0, 0x9f000, E820_RAM },
		{ 0x9f000, 0x1000, E820_RESERVED },
		{ 0xe0000, 0x20000, E820_ACPI },
		{ 0x100000, 3 * GIB - 0x100000, E820_RAM },
		{ 4 * GIB, 5 * GIB, E820_RAM },
	};
	struct boot_e820_entry map[X86_64_MEMORY_MAP_MAX];

	(void)state;
	assert_int_equal(x86_64_memory_map_build(&mem, map), 5);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(map[i].addr, expect[i].addr);
		assert_int_equal(map[i].size, expect[i].size);
		assert_int_equal(map[i].type, expect[i].type);
	}
}

static void memory_at_the_end_of_the_address_space_is_mapped_whole(void **state)
{
	struct guest_mem mem = {
		.count = 2,
		.regions = { { .gpa = 0, .size = 0x100000 },
			     { .gpa = -(4ULL << 12), .size = 4 << 12 } },
	};
	struct boot_e820_entry map[X86_64_MEMORY_MAP_MAX];

	(void)state;
	assert_int_equal(x86_64_memory_map_build(&mem, map), 4);
	assert_int_equal(map[3].addr, -(4ULL << 12));
	assert_int_equal(map[3].size, 4 << 12);
}

static void command_lines_are_checked_against_the_kernels_limit(void **state)
{
	struct guest_mem mem = memory_make(64 * MIB);
	struct kernel_image kernel = kernel_make(KERNEL_LINUX64);
	char *line = calloc(1, 70000);
	struct x86_64_boot boot = { .kernel = &kernel, .cmdline = line };
	struct error err = { 0 };
	struct x86_64_entry entry;

	(void)state;
	memset(line, 'x', 2047);
	assert_int_equal(x86_64_setup_boot(&mem, &boot, &entry, &err), 0);
	line[2047] = 'x';
	assert_int_equal(x86_64_setup_boot(&mem, &boot, &entry, &err), -1);
	assert_int_equal(err.class, ERROR_USAGE);
	assert_non_null(strstr(err.text, "2048"));
	assert_non_null(strstr(err.text, "2047"));
	/* whatever a bzImage claims, our own room is the limit */
	kernel.cmdline_max = UINT32_MAX;
	memset(line, 'x', 69999);
	assert_int_equal(x86_64_setup_boot(&mem, &boot, &entry, &err), -1);
	assert_non_null(strstr(err.text, "65535"));
	free(line);
	memory_free(&mem);
}

static void memory_too_small_for_boot_data_is_an_error(void **state)
{
	struct guest_mem mem = memory_make(0x8000);
	struct kernel_image kernel = kernel_make(KERNEL_LINUX64);
	struct x86_64_boot boot = { .kernel = &kernel, .cmdline = "" };
	struct error err = { 0 };
	struct x86_64_entry entry;

	(void)state;
	assert_int_equal(x86_64_setup_boot(&mem, &boot, &entry, &err), -1);
	assert_int_equal(err.class, ERROR_IMAGE);
	memory_free(&mem);
}

static void only_the_pages_of_boot_data_are_touched(void **state)
{
	struct guest_mem mem = memory_make(64 * MIB);
	struct kernel_image kernel = kernel_make(KERNEL_LINUX64);
	struct x86_64_boot boot = { .kernel = &kernel, .cmdline = "quiet" };
	unsigned char resident[64 * MIB / 4096];
	struct error err = { 0 };
	struct x86_64_entry entry;
	unsigned pages = 0;

	(void)state;
	/* or one page touched may bring 2 MiB */
	madvise(mem.regions[0].host, 64 * MIB, MADV_NOHUGEPAGE);
	assert_int_equal(x86_64_setup_boot(&mem, &boot, &entry, &err), 0);
	assert_int_equal(mincore(mem.regions[0].host, 64 * MIB, resident), 0);
	for (unsigned i = 0; i < 64 * MIB / 4096; i++)
		pages += resident[i] & 1;
	/* GDT, zero page, three of page tables, command line */
	assert_int_equal(pages, 6);
	memory_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_zero_page_tells_where_everything_is),
		cmocka_unit_test(
			a_bzimage_header_is_kept_where_the_loader_has_no_say),
		cmocka_unit_test(
			page_tables_map_the_kernel_and_boot_data_to_themselves),
		cmocka_unit_test(
			the_gdt_has_the_selectors_of_the_boot_protocol),
		cmocka_unit_test(the_pvh_start_info_tells_where_everything_is),
		cmocka_unit_test(without_an_initrd_pvh_has_no_module),
		cmocka_unit_test(the_memory_map_leaves_out_the_legacy_holes),
		cmocka_unit_test(
			memory_at_the_end_of_the_address_space_is_mapped_whole),
		cmocka_unit_test(
			command_lines_are_checked_against_the_kernels_limit),
		cmocka_unit_test(memory_too_small_for_boot_data_is_an_error),
		cmocka_unit_test(only_the_pages_of_boot_data_are_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
