/* boot/arm64/image: where an Image goes, and a reason for each that is
 * refused; what is no arm64 kernel is named. */
#include "tests/unit/boot/arm64/image_fixture.h"

#include "boot/initrd.h"

static void an_image_goes_to_the_bottom_of_memory(void **state)
{
	struct image *image = image_make();

	(void)state;
	check_image_loaded(image, sizeof(*image), image);
	free(image);
}

static void older_images_want_an_offset(void **state)
{
	struct image *image = image_make();

	(void)state;
	image->text_offset = le64(0x80000);
	check_image_loaded(image, sizeof(*image), image);
	image->text_offset = le64(0x1ff000);
	check_image_loaded(image, sizeof(*image), image);
	free(image);
}

static void memory_need_not_begin_at_2_mib(void **state)
{
	struct image *image = image_make();
	struct guest_mem mem = ram_make();
	struct kernel_image kernel;

	(void)state;
	mem.regions[0].gpa = RAM_BASE + 0x1000;
	load_in(&mem, image, sizeof(*image), KERNEL_AUTO, &kernel, NULL);
	assert_int_equal(kernel.start, RAM_BASE + 2 * MIB);
	memory_free(&mem);
	free(image);
}

static void page_sizes_and_reserved_flags_do_not_matter(void **state)
{
	struct image *image = image_make();

	(void)state;
	for (unsigned pages = 0; pages < 4; pages++) {
		image->flags = le64(0xfffffffffffffff0 | pages << 1);
		check_image_loaded(image, sizeof(*image), image);
	}
	free(image);
}

static void images_we_cannot_start_are_named(void **state)
{
	struct image *image = image_make();

	(void)state;
	image->flags = le64(1);
	check_image_refused(image, sizeof(*image), "big-endian");
	image->flags = le64(0);
	image->text_offset = le64(2 * MIB);
	check_image_refused(image, sizeof(*image), "text_offset 0x200000");
	image->text_offset = le64(0x80003);
	check_image_refused(image, sizeof(*image), "text_offset 0x80003");
	image->text_offset = le64(UINT64_MAX);
	check_image_refused(image, sizeof(*image), "text_offset");
	image->text_offset = le64(0x80000);
	image->image_size = le64(0);
	check_image_refused(image, sizeof(*image), "3.17");
	free(image);
}

static void images_that_do_not_fit_are_refused(void **state)
{
	static const uint64_t sizes[] = {
		RAM_SIZE + 1,
		1ULL << 32,
		UINT64_MAX - RAM_BASE,
		UINT64_MAX - RAM_BASE + 1,
		UINT64_MAX,
		1,
		63,
	};
	struct image *image = image_make();

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		image->image_size = le64(sizes[i]);
		check_image_refused(image, sizeof(*image), "does not fit");
	}
	image->image_size = le64(RAM_SIZE);
	check_image_loaded(image, sizeof(*image), image);
	image->text_offset = le64(0x1000);
	check_image_refused(image, sizeof(*image), "does not fit");
	image->image_size = le64(sizeof(*image) - 1);
	check_image_refused(image, sizeof(*image), "its header promises");
	free(image);
}

static void short_headers_are_refused(void **state)
{
	struct image *image = image_make();

	(void)state;
	for (size_t len = 60; len < 64; len++)
		check_image_refused(image, len, "truncated");
	free(image);
}

/* As an EFI program, an Image says how long its file is. */
static void truncated_efi_images_are_refused(void **state)
{
	struct image *image = image_make();
	uint8_t *pe = image->body;
	const le32_t end[] = { le32(CODE_SIZE - 0x1000), le32(0x1000) };
	const le32_t beyond[] = { le32(0xffffffff), le32(0xffffffff) };

	(void)state;
	image->pe_offset = le32(64);
	check_image_loaded(image, sizeof(*image), image); /* no "PE" there */
	memset(pe, 0, 24 + 160 + 2 * 40);
	memcpy(pe, "PE\0\0\x64\xaa\2", 7);
	pe[20] = 160;
	memcpy(pe + 24 + 160 + 40 + 16, end, sizeof(end));
	check_image_loaded(image, sizeof(*image), image);
	for (size_t len = 64; len < sizeof(*image); len += len < 400 ? 5 : 997)
		check_image_refused(image, len, "truncated");
	check_image_refused(image, sizeof(*image) - 1, "truncated Image");
	memcpy(pe + 24 + 160 + 16, beyond, sizeof(beyond));
	check_image_refused(image, sizeof(*image), "truncated Image");
	pe[7] = 0xff; /* so many sections that it can be no Linux */
	check_image_loaded(image, sizeof(*image), image);
	image->pe_offset = le32(0xffffffff);
	check_image_refused(image, sizeof(*image), "truncated");
	free(image);
}

static void no_memory_is_no_place(void **state)
{
	struct image *image = image_make();
	struct guest_mem mem = { 0 };
	struct kernel_image kernel;

	(void)state;
	load_in(&mem, image, sizeof(*image), KERNEL_AUTO, &kernel,
		"does not fit");
	free(image);
}

static void foreign_files_are_named(void **state)
{
	struct elf_image *e = elf_image_make();
	uint8_t bzimage[0x210] = { 'M', 'Z' };

	(void)state;
	check_image_refused(e, sizeof(*e), "an x86-64 kernel");
	e->header.e_machine = 183;
	check_image_refused(e, sizeof(*e), "an ELF file");
	memcpy(bzimage + 0x202, "HdrS", 4);
	check_image_refused(bzimage, sizeof(bzimage), "an x86-64 kernel");
	check_image_refused("\x28\xb5\x2f\xfd...", 7, "zstd");
	check_image_refused("MZ\0\0", 4, "EFI");
	check_image_refused("", 0, "empty");
	free(e);
}

/* A kernel of 64 KiB pages frees the initrd in these. */
static void an_initrd_begins_with_a_large_page(void **state)
{
	struct image *image = image_make();
	struct guest_mem mem = ram_make();
	struct kernel_image kernel;
	struct boot_file file;
	struct initrd initrd;
	struct error err;

	(void)state;
	load_in(&mem, image, sizeof(*image), KERNEL_AUTO, &kernel, NULL);
	file = file_make("initrd", "0707010", 7);
	assert_int_equal(initrd_load(&file, &mem, &kernel, &initrd, &err), 0);
	assert_int_equal(initrd.gpa, RAM_BASE + RAM_SIZE - 0x10000);
	close(file.fd);
	memory_free(&mem);
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_goes_to_the_bottom_of_memory),
		cmocka_unit_test(older_images_want_an_offset),
		cmocka_unit_test(memory_need_not_begin_at_2_mib),
		cmocka_unit_test(page_sizes_and_reserved_flags_do_not_matter),
		cmocka_unit_test(images_we_cannot_start_are_named),
		cmocka_unit_test(images_that_do_not_fit_are_refused),
		cmocka_unit_test(short_headers_are_refused),
		cmocka_unit_test(truncated_efi_images_are_refused),
		cmocka_unit_test(no_memory_is_no_place),
		cmocka_unit_test(foreign_files_are_named),
		cmocka_unit_test(an_initrd_begins_with_a_large_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
