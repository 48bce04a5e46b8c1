/* boot/load: file bytes reach guest memory, and nothing else changes. */
#include "tests/unit/boot/boot_fixture.h"

#include <fcntl.h>
#include <stdbool.h>

#include "boot/initrd.h"

#define FILE_SIZE (MIB + 300 * 1024 + 123)
#define MEMORY_SIZE (4 * MIB)

static uint8_t *pattern_make(size_t len)
{
	uint8_t *bytes = malloc(len);

	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(1 + i % 251 + (i >> 12) % 4);
	return bytes;
}

static bool all_are(const uint8_t *bytes, size_t len, uint8_t value)
{
	return len == 0 ||
	       (bytes[0] == value && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* Loads [offset, offset + len) at gpa into memory full of 0xee and checks
 * every byte of it. */
static void check_load(uint64_t gpa, uint64_t offset, uint64_t len)
{
	uint8_t *bytes = pattern_make(FILE_SIZE);
	struct boot_file file = file_make("load", bytes, FILE_SIZE);
	struct guest_mem mem = memory_make(MEMORY_SIZE);
	uint8_t *host = mem.regions[0].host;
	struct error err = { 0 };

	memset(host, 0xee, MEMORY_SIZE);
	assert_int_equal(load_range(&mem, gpa, &file, offset, len, &err), 0);
	assert_memory_equal(host + gpa, bytes + offset, len);
	assert_true(all_are(host, gpa, 0xee));
	assert_true(all_are(host + gpa + len, MEMORY_SIZE - gpa - len, 0xee));
	memory_free(&mem);
	close(file.fd);
	free(bytes);
}

/* Ranges of 1 MiB and more ask for huge pages. */
static void every_alignment_loads_the_same_bytes(void **state)
{
	static const uint64_t offsets[] = { 0, 1, 512, 4095, 4096, 20480 };
	static const uint64_t lens[] = {
		0, 1, 4096, 100001, MIB - 1, MIB, MIB + 1, FILE_SIZE - 20480
	};

	(void)state;
	for (unsigned o = 0; o < 6; o++) {
		for (unsigned l = 0; l < 8; l++) {
			uint64_t congruent = 0x10000 + (offsets[o] & 4095);

			check_load(congruent, offsets[o], lens[l]);
			check_load(congruent + 7, offsets[o], lens[l]);
			check_load(MEMORY_SIZE - lens[l] - (lens[l] == 0),
				   offsets[o], lens[l]);
		}
	}
}

static void guest_writes_do_not_reach_the_file(void **state)
{
	uint8_t *bytes = pattern_make(FILE_SIZE);
	struct boot_file file = file_make("load", bytes, FILE_SIZE);
	struct guest_mem mem = memory_make(MEMORY_SIZE);
	struct error err = { 0 };
	uint8_t back[16];

	(void)state;
	assert_int_equal(load_range(&mem, 0, &file, 0, FILE_SIZE, &err), 0);
	memset(mem.regions[0].host, 0, FILE_SIZE);
	assert_int_equal(pread(file.fd, back, 16, 8192), 16);
	assert_memory_equal(back, bytes + 8192, 16);
	memory_free(&mem);
	close(file.fd);
	free(bytes);
}

/* Loads a steady file to gpa, and says whether pages of it are mapped. */
static bool map_at(struct guest_mem *mem, struct boot_file *file,
		   const uint8_t *bytes, uint64_t gpa, uint64_t offset,
		   uint64_t len, struct load_mapping *mapping)
{
	struct error err = { 0 };
	uint8_t *host = mem->regions[0].host;

	file->steady = true;
	if (load_mapped(mem, gpa, file, offset, len, mapping, &err))
		fail_msg("%s", err.text);
	assert_memory_equal(host + gpa, bytes + offset, len);
	assert_true(all_are(host, gpa, 0));
	assert_true(all_are(host + gpa + len, MEMORY_SIZE - gpa - len, 0));
	return mapping->len > 0;
}

static void a_steady_file_is_mapped_where_pages_allow(void **state)
{
	const struct {
		uint64_t gpa, offset, len;
		bool mapped;
	} cases[] = {
		{ 0, 0, MIB, true },
		{ 4096, 8192, MIB + 100, true },
		{ 100, 100, MIB + 5000, true },
		{ MEMORY_SIZE - MIB, 4096, MIB, true },
		{ 0, 0, MIB - 1, false },
		{ 100, 0, MIB + 5000, false },
		{ 0, 7, MIB + 100, false },
	};
	uint8_t *bytes = pattern_make(FILE_SIZE);
	struct boot_file file = file_make("load", bytes, FILE_SIZE);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guest_mem mem = memory_make(MEMORY_SIZE);
		struct load_mapping mapping;

		assert_int_equal(map_at(&mem, &file, bytes, cases[i].gpa,
					cases[i].offset, cases[i].len,
					&mapping),
				 cases[i].mapped);
		memory_free(&mem);
	}
	close(file.fd);
	free(bytes);
}

static void a_detached_file_may_change_and_shrink(void **state)
{
	uint8_t *bytes = pattern_make(FILE_SIZE);
	struct boot_file file = file_make("load", bytes, FILE_SIZE);
	struct guest_mem mem = memory_make(MEMORY_SIZE);
	struct load_mapping mapping;
	struct error err = { 0 };

	(void)state;
	assert_true(map_at(&mem, &file, bytes, 0, 0, FILE_SIZE, &mapping));
	/* what the guest has written stays, and does not reach the file */
	mem.regions[0].host[8192] = bytes[8192] = 0xaa;
	assert_int_equal(load_detach(&mapping, &err), 0);
	assert_int_equal(pwrite(file.fd, "new", 3, 0), 3);
	assert_int_equal(ftruncate(file.fd, 4096), 0);
	assert_memory_equal(mem.regions[0].host, bytes, FILE_SIZE);
	memory_free(&mem);
	close(file.fd);
	free(bytes);
}

static void a_file_that_shrinks_is_an_io_error(void **state)
{
	uint8_t *bytes = pattern_make(FILE_SIZE);
	struct boot_file file = file_make("load", bytes, FILE_SIZE);
	struct guest_mem mem = memory_make(MEMORY_SIZE);
	struct error err = { 0 };

	(void)state;
	assert_int_equal(ftruncate(file.fd, 100000), 0);
	assert_int_equal(load_range(&mem, 0, &file, 0, FILE_SIZE, &err), -1);
	assert_int_equal(err.class, ERROR_IO);
	assert_string_equal(err.text, "shrank while it was read");
	assert_memory_equal(mem.regions[0].host, bytes, 100000);
	memory_free(&mem);
	close(file.fd);
	free(bytes);
}

/* Linux gives /proc/kallsyms in pieces of at most a page. */
static void short_reads_are_continued(void **state)
{
	static uint8_t want[20000];
	struct guest_mem mem = memory_make(MEMORY_SIZE);
	struct boot_file file = {
		.fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC),
		.size = sizeof(want),
		.name = "kallsyms",
	};
	struct error err = { 0 };
	size_t have = 0;
	ssize_t n;

	(void)state;
	while (file.fd >= 0 && have < sizeof(want) &&
	       (n = read(file.fd, want + have, sizeof(want) - have)) > 0)
		have += (size_t)n;
	if (have < sizeof(want))
		skip();
	assert_int_equal(load_range(&mem, 0, &file, 0, have, &err), 0);
	assert_memory_equal(mem.regions[0].host, want, have);
	memory_free(&mem);
	close(file.fd);
}

static void ranges_outside_file_or_memory_are_errors(void **state)
{
	static const struct {
		uint64_t gpa, offset, len;
	} bad[] = {
		{ 0, 0, FILE_SIZE + 1 },	{ 0, FILE_SIZE, 1 },
		{ 0, FILE_SIZE + 1, 0 },	{ 0, UINT64_MAX, 2 },
		{ 0, 4096, UINT64_MAX - 4095 }, { MEMORY_SIZE - 4096, 0, 4097 },
		{ MEMORY_SIZE, 0, 1 },		{ UINT64_MAX, 0, 2 },
	};
	uint8_t *bytes = pattern_make(FILE_SIZE);
	struct boot_file file = file_make("kernel x", bytes, FILE_SIZE);
	struct guest_mem mem = memory_make(MEMORY_SIZE);

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct error err = { 0 };

		assert_int_equal(load_range(&mem, bad[i].gpa, &file,
					    bad[i].offset, bad[i].len, &err),
				 -1);
		assert_int_equal(err.class, ERROR_IMAGE);
		assert_true(err.text[0] != 0);
	}
	memory_free(&mem);
	close(file.fd);
	free(bytes);
}

static void a_failing_read_is_an_io_error(void **state)
{
	struct boot_file file = { .fd = -1, .size = 100, .name = "gone" };
	struct error err = { 0 };
	struct guest_mem mem = memory_make(MEMORY_SIZE);
	struct kernel_image kernel = { .initrd_max = UINT32_MAX };
	struct initrd initrd;
	uint8_t buf[10];

	(void)state;
	assert_int_equal(boot_file_read(&file, 0, buf, 10, &err), -1);
	assert_int_equal(err.class, ERROR_IO);
	assert_string_equal(err.text, "read: Bad file descriptor");
	assert_int_equal(initrd_load(&file, &mem, &kernel, &initrd, &err), -1);
	assert_int_equal(err.class, ERROR_IO);
	assert_string_equal(err.text, "gone: read: Bad file descriptor");
	assert_int_equal(kernel_load(&file, &mem, KERNEL_AUTO, &kernel, &err),
			 -1);
	assert_int_equal(err.class, ERROR_IO);
	assert_string_equal(err.text, "gone: read: Bad file descriptor");
	memory_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_alignment_loads_the_same_bytes),
		cmocka_unit_test(guest_writes_do_not_reach_the_file),
		cmocka_unit_test(a_steady_file_is_mapped_where_pages_allow),
		cmocka_unit_test(a_detached_file_may_change_and_shrink),
		cmocka_unit_test(a_file_that_shrinks_is_an_io_error),
		cmocka_unit_test(short_reads_are_continued),
		cmocka_unit_test(ranges_outside_file_or_memory_are_errors),
		cmocka_unit_test(a_failing_read_is_an_io_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
