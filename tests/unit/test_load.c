/* boot/load: file bytes reach guest memory, mapped or read, and nothing else
 * changes. */
#include "tests/unit/boot_fixture.h"

#include <fcntl.h>
#include <stdio.h>

#define FILE_SIZE (300 * 1024 + 123)
#define MEMORY_SIZE (2 * MIB)

static uint8_t *pattern_make(size_t len)
{
	uint8_t *bytes = malloc(len);

	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(1 + i % 251 + (i >> 12) % 4);
	return bytes;
}

/* Whether the page at host is a page of a file, by /proc/self/maps. */
static bool is_file_page(const uint8_t *host)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	bool found = false;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end, inode;

		if (sscanf(line, "%lx-%lx %*s %*s %*s %lu", &start, &end,
			   &inode) == 3 &&
		    (uintptr_t)host >= start && (uintptr_t)host < end)
			found = inode != 0;
	}
	fclose(maps);
	return found;
}

/* Loads [offset, offset + len) at gpa into memory full of 0xee and checks
 * every byte of it. */
static void check_load(bool overlay, uint64_t gpa, uint64_t offset,
		       uint64_t len)
{
	uint8_t *bytes = pattern_make(FILE_SIZE);
	struct boot_file file = file_make("load", bytes, FILE_SIZE);
	struct guest_mem mem = memory_make(MEMORY_SIZE, overlay);
	uint8_t *host = mem.regions[0].host;
	struct error err = { 0 };

	memset(host, 0xee, MEMORY_SIZE);
	assert_int_equal(load_range(&mem, gpa, &file, offset, len, &err), 0);
	assert_memory_equal(host + gpa, bytes + offset, len);
	for (uint64_t i = 0; i < MEMORY_SIZE; i++) {
		if (i < gpa || i >= gpa + len)
			assert_int_equal(host[i], 0xee);
	}
	memory_free(&mem);
	close(file.fd);
	free(bytes);
}

static void every_alignment_loads_the_same_bytes(void **state)
{
	static const uint64_t offsets[] = { 0, 1, 512, 4095, 4096, 20480 };
	static const uint64_t lens[] = { 0,
					 1,
					 4096,
					 LOAD_MAP_MIN - 1,
					 LOAD_MAP_MIN,
					 LOAD_MAP_MIN + 1,
					 100001,
					 FILE_SIZE - 20480 };

	(void)state;
	for (unsigned o = 0; o < 6; o++) {
		for (unsigned l = 0; l < 8; l++) {
			uint64_t congruent = 0x10000 + (offsets[o] & 4095);

			check_load(false, congruent, offsets[o], lens[l]);
			check_load(true, congruent, offsets[o], lens[l]);
			check_load(true, congruent + 7, offsets[o], lens[l]);
		}
	}
}

static void whole_pages_are_mapped_and_the_edges_read(void **state)
{
	uint8_t *bytes = pattern_make(FILE_SIZE);
	struct boot_file file = file_make("load", bytes, FILE_SIZE);
	struct guest_mem mem = memory_make(MEMORY_SIZE, true);
	uint8_t *host = mem.regions[0].host;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(
		load_range(&mem, 0x10000 + 100, &file, 100, 200000, &err), 0);
	assert_false(is_file_page(host + 0x10000));
	assert_true(is_file_page(host + 0x11000));
	assert_true(is_file_page(host + 0x10000 + 196608 - 1));
	assert_false(is_file_page(host + 0x10000 + 196608));
	memory_free(&mem);
	close(file.fd);
	free(bytes);
}

static void a_region_without_overlay_keeps_its_own_pages(void **state)
{
	uint8_t *bytes = pattern_make(FILE_SIZE);
	struct boot_file file = file_make("load", bytes, FILE_SIZE);
	struct guest_mem mem = memory_make(MEMORY_SIZE, false);
	struct error err = { 0 };

	(void)state;
	assert_int_equal(load_range(&mem, 0, &file, 0, FILE_SIZE, &err), 0);
	for (uint64_t i = 0; i < FILE_SIZE; i += 4096)
		assert_false(is_file_page(mem.regions[0].host + i));
	memory_free(&mem);
	close(file.fd);
	free(bytes);
}

static void guest_writes_do_not_reach_the_file(void **state)
{
	uint8_t *bytes = pattern_make(FILE_SIZE);
	struct boot_file file = file_make("load", bytes, FILE_SIZE);
	struct guest_mem mem = memory_make(MEMORY_SIZE, true);
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

static void a_file_that_cannot_be_mapped_is_read(void **state)
{
	struct guest_mem mem = memory_make(MEMORY_SIZE, true);
	/* readable, no mmap; the size is ours */
	struct boot_file file = {
		.fd = open("/proc/version", O_RDONLY | O_CLOEXEC),
		.size = LOAD_MAP_MIN,
		.name = "version",
	};
	struct error err = { 0 };

	(void)state;
	/* it is shorter than we said, which also must be found out */
	assert_int_equal(load_range(&mem, 0, &file, 0, LOAD_MAP_MIN, &err), -1);
	assert_int_equal(err.class, ERROR_IO);
	assert_memory_equal(mem.regions[0].host, "Linux version", 13);
	/* and the memory is still there */
	memset(mem.regions[0].host, 1, LOAD_MAP_MIN);
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
	struct guest_mem mem = memory_make(MEMORY_SIZE, true);

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct error err = { 0 };

		assert_int_equal(load_range(&mem, bad[i].gpa, &file,
					    bad[i].offset, bad[i].len, &err),
				 -1);
		assert_int_equal(err.class, ERROR_IMAGE);
		assert_non_null(strstr(err.text, "kernel x: "));
	}
	memory_free(&mem);
	close(file.fd);
	free(bytes);
}

static void a_failing_read_is_an_io_error(void **state)
{
	struct boot_file file = { .fd = -1, .size = 100, .name = "gone" };
	struct error err = { 0 };
	uint8_t buf[10];

	(void)state;
	assert_int_equal(boot_file_read(&file, 0, buf, 10, &err), -1);
	assert_int_equal(err.class, ERROR_IO);
	assert_string_equal(err.text, "gone: read: Bad file descriptor");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_alignment_loads_the_same_bytes),
		cmocka_unit_test(whole_pages_are_mapped_and_the_edges_read),
		cmocka_unit_test(a_region_without_overlay_keeps_its_own_pages),
		cmocka_unit_test(guest_writes_do_not_reach_the_file),
		cmocka_unit_test(a_file_that_cannot_be_mapped_is_read),
		cmocka_unit_test(ranges_outside_file_or_memory_are_errors),
		cmocka_unit_test(a_failing_read_is_an_io_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
