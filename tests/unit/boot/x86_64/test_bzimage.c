/* boot/x86_64/bzimage: where a bzImage goes, and a reason for each that is
 * refused. */
#include "tests/unit/boot/boot_fixture.h"

#include <asm/bootparam.h>

#include "base/cleanup.h"
#include "boot/x86_64/abi.h"

#define SETUP_BYTES (5 * 512)
#define CODE_BYTES 0x1000

struct bzimage {
	uint8_t boot[SETUP_HEADER_OFFSET];
	struct setup_header hdr;
	uint8_t setup[SETUP_BYTES - 0x26c];
	uint8_t code[CODE_BYTES];
};

static_assert(offsetof(struct bzimage, code) == SETUP_BYTES, "4 sectors");

static struct bzimage *bzimage_make(void)
{
	struct bzimage *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->hdr = (struct setup_header){
		.setup_sects = 4,
		.syssize = CODE_BYTES / 16,
		.boot_flag = LINUX_BOOT_FLAG,
		.jump = 0x6a << 8,
		.header = LINUX_HEADER_MAGIC,
		.version = 0x20f,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 2047,
		.pref_address = 0x400000,
		.init_size = 0x300000,
	};
	memset(b->code, 0xb2, CODE_BYTES);
	return b;
}

static void the_version_string_is_read_where_the_header_says(void **state)
{
	struct bzimage *b = bzimage_make();
	struct boot_file file;
	char text[16];

	(void)state;
	b->hdr.kernel_version = offsetof(struct bzimage, setup) - 0x200;
	memcpy(b->setup, "6.12-onggi", 11);
	file = file_make("image", b, sizeof(*b));
	kernel_read_build(&file, text, sizeof(text));
	assert_string_equal(text, "6.12-onggi");
	close(file.fd);
	b->hdr.kernel_version = 0xffff; /* past the end */
	file = file_make("image", b, sizeof(*b));
	kernel_read_build(&file, text, sizeof(text));
	assert_string_equal(text, "");
	close(file.fd);
	free(b);
}

static void a_bzimage_loads_at_its_preferred_address(void **state)
{
	struct guest_mem mem = memory_make(KERNEL_MEMORY);
	struct bzimage *b = bzimage_make();
	struct kernel_image image;

	(void)state;
	load_in(&mem, b, sizeof(*b), KERNEL_AUTO, &image, NULL);
	assert_int_equal(image.arch.protocol, KERNEL_LINUX64);
	assert_int_equal(image.start, 0x400000);
	assert_int_equal(image.end, 0x700000);
	assert_int_equal(image.entry, 0x400200);
	assert_int_equal(image.initrd_max, 0x7fffffff);
	assert_int_equal(image.cmdline_max, 2047);
	assert_int_equal(image.arch.setup_header_size, 0x26c - 0x1f1);
	assert_memory_equal(image.arch.setup_header, &b->hdr,
			    image.arch.setup_header_size);
	assert_memory_equal(mem.regions[0].host + 0x400000, b->code,
			    CODE_BYTES);
	memory_free(&mem);
	free(b);
}

static void setup_sects_0_means_4(void **state)
{
	struct guest_mem mem = memory_make(KERNEL_MEMORY);
	struct bzimage *b = bzimage_make();
	struct kernel_image image;

	(void)state;
	b->hdr.setup_sects = 0;
	load_in(&mem, b, sizeof(*b), KERNEL_AUTO, &image, NULL);
	assert_int_equal(mem.regions[0].host[0x400000], 0xb2);
	assert_int_equal(mem.regions[0].host[0x400000 + CODE_BYTES - 1], 0xb2);
	memory_free(&mem);
	free(b);
}

static void alignment_and_low_memory_move_a_relocatable_kernel_up(void **state)
{
	struct guest_mem mem = memory_make(KERNEL_MEMORY);
	struct bzimage *b = bzimage_make();
	struct kernel_image image;

	(void)state;
	b->hdr.pref_address = 0x410000;
	load_in(&mem, b, sizeof(*b), KERNEL_AUTO, &image, NULL);
	assert_int_equal(image.start, 0x600000);
	b->hdr.pref_address = 0;
	load_in(&mem, b, sizeof(*b), KERNEL_AUTO, &image, NULL);
	assert_int_equal(image.start, 0x200000);
	b->hdr.relocatable_kernel = 0;
	load_in(&mem, b, sizeof(*b), KERNEL_AUTO, &image, NULL);
	assert_int_equal(image.start, 0x100000);
	b->hdr.pref_address = 0x410000;
	load_in(&mem, b, sizeof(*b), KERNEL_AUTO, &image, NULL);
	assert_int_equal(image.start, 0x410000);
	memory_free(&mem);
	free(b);
}

static void bzimages_we_cannot_start_are_named(void **state)
{
	struct bzimage *b = bzimage_make();

	(void)state;
	check_refused(b, sizeof(*b), KERNEL_PVH, "no PVH entry");
	b->hdr.kernel_alignment = 0x300000;
	check_refused(b, sizeof(*b), KERNEL_AUTO, "not a power of 2");
	b->hdr.kernel_alignment = 0;
	check_refused(b, sizeof(*b), KERNEL_AUTO, "not a power of 2");
	b->hdr.loadflags = 0;
	check_refused(b, sizeof(*b), KERNEL_AUTO, "zImage");
	b->hdr.xloadflags = 0;
	check_refused(b, sizeof(*b), KERNEL_AUTO, "64-bit entry");
	b->hdr.version = 0x20b;
	check_refused(b, sizeof(*b), KERNEL_AUTO, "protocol 2.11");
	b->hdr.boot_flag = 0;
	check_refused(b, sizeof(*b), KERNEL_AUTO, "0xaa55");
	free(b);
}

static void bzimages_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		uint64_t pref;
		uint32_t init_size, align;
		uint8_t relocatable;
	} bad[] = {
		{ 0x400000, 0xc00001, 0x200000, 1 },
		{ 0x400000, 0xffffffff, 0x200000, 1 },
		{ 0x1000000, 0x300000, 0x200000, 1 },
		{ UINT64_MAX, 0x300000, 0x200000, 1 },
		{ 0x400000, 0x300000, 0x80000000, 1 },
		{ UINT64_MAX - 0x100, 0x300000, 0x200000, 0 },
		{ 0x8000, 0x300000, 0x200000, 0 },
	};
	struct bzimage *b = bzimage_make();

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		b->hdr.pref_address = bad[i].pref;
		b->hdr.init_size = bad[i].init_size;
		b->hdr.kernel_alignment = bad[i].align;
		b->hdr.relocatable_kernel = bad[i].relocatable;
		check_refused(b, sizeof(*b), KERNEL_AUTO, "bzImage ");
	}
	free(b);
}

static void truncated_bzimages_are_refused_at_every_length(void **state)
{
	struct bzimage *b = bzimage_make();

	(void)state;
	for (size_t len = 0x206; len < sizeof(*b) - 15; len += 37)
		check_refused(b, len, KERNEL_AUTO, "truncated");
	b->hdr.setup_sects = 255;
	check_refused(b, sizeof(*b), KERNEL_AUTO, "truncated bzImage");
	b->hdr.setup_sects = 4;
	b->hdr.syssize = 0xffffffff;
	check_refused(b, sizeof(*b), KERNEL_AUTO, "truncated bzImage");
	free(b);
}

static void the_longest_setup_header_is_cut_to_its_place(void **state)
{
	struct guest_mem mem = memory_make(KERNEL_MEMORY);
	struct bzimage *b = bzimage_make();
	struct kernel_image image;

	(void)state;
	b->hdr.jump = 0xff00;
	load_in(&mem, b, sizeof(*b), KERNEL_AUTO, &image, NULL);
	assert_int_equal(image.arch.setup_header_size, 0x290 - 0x1f1);
	/* and one too short to have the fields of 2.12 has them zero */
	b->hdr.jump = 0x1000;
	load_in(&mem, b, sizeof(*b), KERNEL_AUTO, &image, "64-bit entry");
	memory_free(&mem);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bzimage_loads_at_its_preferred_address),
		cmocka_unit_test(
			the_version_string_is_read_where_the_header_says),
		cmocka_unit_test(setup_sects_0_means_4),
		cmocka_unit_test(
			alignment_and_low_memory_move_a_relocatable_kernel_up),
		cmocka_unit_test(bzimages_we_cannot_start_are_named),
		cmocka_unit_test(bzimages_that_do_not_fit_are_refused),
		cmocka_unit_test(
			truncated_bzimages_are_refused_at_every_length),
		cmocka_unit_test(the_longest_setup_header_is_cut_to_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
