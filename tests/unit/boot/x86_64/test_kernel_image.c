/* boot/kernel and boot/x86_64/elf: what is a kernel, where it goes, and a
 * reason for everything that is refused. */
#include "tests/unit/boot/boot_fixture.h"

#include "base/cleanup.h"

/* ---- what is no kernel ---- */

static void an_empty_file_is_named_as_such(void **state)
{
	(void)state;
	check_refused("", 0, KERNEL_AUTO, "empty");
}

static void foreign_files_are_named(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *what;
	} files[] = {
		{ "\x1f\x8b\x08", 3, "gzip" },
		{ "\x28\xb5\x2f\xfd...", 7, "zstd" },
		{ "\xfd\x37\x7aXZ\0...", 9, "xz-compressed" },
		{ "BZh9", 4, "bzip2" },
		{ "\x04\x22\x4d\x18", 4, "lz4" },
		{ "070701000", 9, "cpio" },
		{ "#!/bin/sh\n", 10, "a script" },
		{ "hello, world\n", 13, "a text file" },
		{ "MZ\x90\0", 4, "EFI" },
		{ "MZ\0\0zimg", 8, "compressed EFI" },
		{ "\1\2\3\4", 4, "unknown format" },
		{ "\x7f", 1, "unknown format" },
	};
	char arm64[64] = "MZ";

	(void)state;
	memcpy(arm64 + 56, "ARM\x64", 4);
	check_refused(arm64, 64, KERNEL_AUTO, "arm64");
	for (unsigned i = 0; i < ARRAY_SIZE(files); i++)
		check_refused(files[i].bytes, files[i].len, KERNEL_AUTO,
			      files[i].what);
}

/* ---- ELF ---- */

static void an_elf_with_a_pvh_note_is_entered_by_pvh(void **state)
{
	struct guest_mem mem = memory_make(KERNEL_MEMORY);
	struct elf_image *e = elf_image_make();
	struct kernel_image image;

	(void)state;
	load_in(&mem, e, sizeof(*e), KERNEL_AUTO, &image, NULL);
	assert_int_equal(image.arch.protocol, KERNEL_PVH);
	assert_int_equal(image.entry, ELF_IMAGE_PVH);
	assert_int_equal(image.start, ELF_IMAGE_BASE);
	assert_int_equal(image.end, ELF_IMAGE_BASE + 0x2000);
	assert_int_equal(image.arch.setup_header_size, 0);
	assert_int_equal(image.cmdline_max, 2047);
	assert_memory_equal(mem.regions[0].host + ELF_IMAGE_BASE, e->code,
			    sizeof(e->code));
	assert_int_equal(mem.regions[0].host[ELF_IMAGE_BASE + 0x1000], 0);
	memory_free(&mem);
	free(e);
}

static void an_eight_byte_pvh_note_is_read_too(void **state)
{
	struct guest_mem mem = memory_make(KERNEL_MEMORY);
	struct elf_image *e = elf_image_make();
	struct kernel_image image;

	(void)state;
	e->pvh.n_descsz = 8; /* the bytes that follow are zero */
	e->note.p_filesz = 24;
	load_in(&mem, e, sizeof(*e), KERNEL_PVH, &image, NULL);
	assert_int_equal(image.entry, ELF_IMAGE_PVH);
	memory_free(&mem);
	free(e);
}

static void the_build_salt_is_read_from_its_note(void **state)
{
	struct elf_image *e = elf_image_make();
	struct boot_file file;
	char text[16];

	(void)state;
	/* a second note behind the PVH one */
	e->note.p_filesz = 20 + 12 + 8 + 8;
	*(Elf64_Nhdr *)e->pad = (Elf64_Nhdr){
		.n_namesz = 6,
		.n_descsz = 8,
		.n_type = LINUX_ELFNOTE_BUILD_SALT,
	};
	memcpy(e->pad + 12, "Linux\0\0\0mptable", 16);
	file = file_make("salted", e, sizeof(*e));
	kernel_read_build(&file, text, sizeof(text));
	assert_string_equal(text, "mptable");
	kernel_read_build(&file, text, 4);
	assert_string_equal(text, "mpt");
	close(file.fd);
	e->note.p_filesz = 20;
	file = file_make("plain", e, sizeof(*e));
	kernel_read_build(&file, text, sizeof(text));
	assert_string_equal(text, "");
	close(file.fd);
	file = file_make("text", "no kernel", 9);
	kernel_read_build(&file, text, sizeof(text));
	assert_string_equal(text, "");
	close(file.fd);
	free(e);
}

static void the_64_bit_protocol_can_be_forced(void **state)
{
	struct guest_mem mem = memory_make(KERNEL_MEMORY);
	struct elf_image *e = elf_image_make();
	struct kernel_image image;

	(void)state;
	load_in(&mem, e, sizeof(*e), KERNEL_LINUX64, &image, NULL);
	assert_int_equal(image.arch.protocol, KERNEL_LINUX64);
	assert_int_equal(image.entry, ELF_IMAGE_ENTRY);
	memory_free(&mem);
	free(e);
}

static void without_a_pvh_note_the_64_bit_protocol_is_used(void **state)
{
	struct guest_mem mem = memory_make(KERNEL_MEMORY);
	struct elf_image *e = elf_image_make();
	struct kernel_image image;

	(void)state;
	memcpy(e->pvh_name, "GNU", 4);
	load_in(&mem, e, sizeof(*e), KERNEL_AUTO, &image, NULL);
	assert_int_equal(image.arch.protocol, KERNEL_LINUX64);
	check_refused(e, sizeof(*e), KERNEL_PVH, "no PVH entry");
	memory_free(&mem);
	free(e);
}

static void a_virtual_entry_is_made_physical(void **state)
{
	struct guest_mem mem = memory_make(KERNEL_MEMORY);
	struct elf_image *e = elf_image_make();
	struct kernel_image image;

	(void)state;
	e->header.e_entry = 0xffffffff80000000 + ELF_IMAGE_ENTRY;
	load_in(&mem, e, sizeof(*e), KERNEL_LINUX64, &image, NULL);
	assert_int_equal(image.entry, ELF_IMAGE_ENTRY);
	memory_free(&mem);
	free(e);
}

static void entries_outside_the_segments_are_refused(void **state)
{
	struct elf_image *e = elf_image_make();

	(void)state;
	e->header.e_entry = 0x1234;
	check_refused(e, sizeof(*e), KERNEL_LINUX64, "entry point 0x1234");
	e->pvh_entry = ELF_IMAGE_BASE + 0x1000; /* in .bss */
	check_refused(e, sizeof(*e), KERNEL_PVH, "PVH entry 0x201000");
	e->pvh.n_descsz = 8;
	e->note.p_filesz = 24;
	e->pad[0] = 1;
	check_refused(e, sizeof(*e), KERNEL_PVH, "PVH entry 0x100201000");
	free(e);
}

static void elf_of_another_kind_is_named(void **state)
{
	struct elf_image *e = elf_image_make();

	(void)state;
	e->header.e_type = 1;
	check_refused(e, sizeof(*e), KERNEL_AUTO, "type 1");
	e->header.e_machine = 183;
	check_refused(e, sizeof(*e), KERNEL_AUTO, "machine 183");
	e->header.e_ident[EI_DATA] = 2;
	check_refused(e, sizeof(*e), KERNEL_AUTO, "big-endian");
	e->header.e_ident[EI_CLASS] = 1;
	check_refused(e, sizeof(*e), KERNEL_AUTO, "32-bit");
	free(e);
}

static void program_headers_out_of_bounds_are_refused(void **state)
{
	struct elf_image *e = elf_image_make();

	(void)state;
	e->header.e_phentsize = 32;
	check_refused(e, sizeof(*e), KERNEL_AUTO, "32 bytes");
	e->header.e_phentsize = 56;
	e->header.e_phnum = 0xffff;
	check_refused(e, sizeof(*e), KERNEL_AUTO, "65535 ELF program");
	e->header.e_phnum = 0;
	check_refused(e, sizeof(*e), KERNEL_AUTO, "nothing to load");
	e->header.e_phnum = 2;
	e->header.e_phoff = sizeof(*e) - 100;
	check_refused(e, sizeof(*e), KERNEL_AUTO, "end of the file");
	e->header.e_phoff = UINT64_MAX - 10;
	check_refused(e, sizeof(*e), KERNEL_AUTO, "end of the file");
	free(e);
}

static void truncated_elf_files_are_refused_at_every_length(void **state)
{
	struct elf_image *e = elf_image_make();

	(void)state;
	for (size_t len = 4; len < sizeof(*e); len += len < 300 ? 1 : 97)
		check_refused(e, len, KERNEL_AUTO, "end of the file");
	free(e);
}

static void segments_must_fit_file_and_memory(void **state)
{
	static const struct {
		uint64_t offset, paddr, filesz, memsz;
		const char *reason;
	} bad[] = {
		{ 0x1000, 0x200000, 0x1000, 0xfff, "more bytes in the file" },
		{ 0x1000, 0x200000, 0x1001, 0x2000, "header 0 reaches past" },
		{ UINT64_MAX, 0x200000, 1, 0x2000, "header 0 reaches past" },
		{ 0, 0x200000, UINT64_MAX, UINT64_MAX, "header 0 reaches" },
		{ 0x1000, 0xff000, 0x1000, 0x2000, "below 1 MiB" },
		{ 0x1000, 0, 0x1000, 0x2000, "below 1 MiB" },
		{ 0x1000, 0xfff000, 0x1000, 0x1001, "does not fit into 16" },
		{ 0x1000, 0x1000000, 0x1000, 0x1000, "does not fit into 16" },
		{ 0x1000, 0x200000, 0x1000, UINT64_MAX, "does not fit" },
		{ 0x1000, UINT64_MAX, 0x1000, 0x2000, "does not fit" },
	};
	struct elf_image *e = elf_image_make();

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		e->load.p_offset = bad[i].offset;
		e->load.p_paddr = bad[i].paddr;
		e->load.p_filesz = bad[i].filesz;
		e->load.p_memsz = bad[i].memsz;
		check_refused(e, sizeof(*e), KERNEL_AUTO, bad[i].reason);
	}
	free(e);
}

static void segments_that_share_memory_are_refused(void **state)
{
	struct elf_image *e = elf_image_make();

	(void)state;
	e->note = e->load;
	e->note.p_paddr = ELF_IMAGE_BASE + 0x1fff;
	check_refused(e, sizeof(*e), KERNEL_AUTO, "headers 0 and 1");
	free(e);
}

static void hostile_notes_do_not_derail_the_search(void **state)
{
	static const uint32_t sizes[] = { 0,	      3,	  5,
					  0x7fffffff, 0xfffffffd, 0xffffffff };
	struct guest_mem mem = memory_make(KERNEL_MEMORY);
	struct elf_image *e = elf_image_make();
	struct kernel_image image;

	(void)state;
	for (unsigned i = 0; i < 36; i++) {
		e->pvh.n_namesz = sizes[i / 6];
		e->pvh.n_descsz = sizes[i % 6];
		load_in(&mem, e, sizeof(*e), KERNEL_AUTO, &image, NULL);
		assert_int_equal(image.arch.protocol, KERNEL_LINUX64);
	}
	e->note.p_filesz = 1 << 20;
	check_refused(e, sizeof(*e), KERNEL_AUTO, "bytes of ELF notes");
	e->note.p_filesz = 0x2000;
	check_refused(e, sizeof(*e), KERNEL_AUTO, "end of the file");
	memory_free(&mem);
	free(e);
}

static void a_large_segment_does_not_spill_into_its_bss(void **state)
{
	struct guest_mem mem = memory_make(KERNEL_MEMORY);
	struct elf_image *e = elf_image_make();
	size_t len = sizeof(*e) + 256 * 1024;
	uint8_t *bytes = malloc(len);
	struct kernel_image image;
	uint8_t *code = mem.regions[0].host + ELF_IMAGE_BASE;

	(void)state;
	e->load.p_filesz = 0x20010; /* ends inside a page */
	e->load.p_memsz = 0x30000;
	memset(bytes, 0x77, len);
	memcpy(bytes, e, sizeof(*e));
	load_in(&mem, bytes, len, KERNEL_AUTO, &image, NULL);
	assert_memory_equal(code, bytes + 0x1000, 0x20010);
	for (unsigned i = 0x20010; i < 0x30000; i++)
		assert_int_equal(code[i], 0);
	memory_free(&mem);
	free(bytes);
	free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_file_is_named_as_such),
		cmocka_unit_test(foreign_files_are_named),
		cmocka_unit_test(an_elf_with_a_pvh_note_is_entered_by_pvh),
		cmocka_unit_test(an_eight_byte_pvh_note_is_read_too),
		cmocka_unit_test(the_build_salt_is_read_from_its_note),
		cmocka_unit_test(the_64_bit_protocol_can_be_forced),
		cmocka_unit_test(
			without_a_pvh_note_the_64_bit_protocol_is_used),
		cmocka_unit_test(a_virtual_entry_is_made_physical),
		cmocka_unit_test(entries_outside_the_segments_are_refused),
		cmocka_unit_test(elf_of_another_kind_is_named),
		cmocka_unit_test(program_headers_out_of_bounds_are_refused),
		cmocka_unit_test(
			truncated_elf_files_are_refused_at_every_length),
		cmocka_unit_test(segments_must_fit_file_and_memory),
		cmocka_unit_test(segments_that_share_memory_are_refused),
		cmocka_unit_test(hostile_notes_do_not_derail_the_search),
		cmocka_unit_test(a_large_segment_does_not_spill_into_its_bss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
