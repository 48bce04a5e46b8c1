/* What of guest memory goes back to the host, and what stays. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/machine/memory.h"

#define PAGES 16

struct fixture {
	struct memory guest;
	size_t page; /* the host's, in bytes */
	uint8_t *memory;
	int file; /* as many pages, filled with 'k' */
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.guest.fd = -1;
	f.page = (size_t)sysconf(_SC_PAGESIZE);
	f.memory = mmap(NULL, PAGES * f.page, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	f.file = memfd_create("kernel", MFD_CLOEXEC);
	if (f.memory == MAP_FAILED || f.file < 0)
		return -1;
	memset(f.memory, 'k', PAGES * f.page);
	if (write(f.file, f.memory, PAGES * f.page) !=
	    (ssize_t)(PAGES * f.page))
		return -1;
	memset(f.memory, 'g', PAGES * f.page);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	munmap(f->memory, PAGES * f->page);
	close(f->file);
	return 0;
}

/* Maps pages of the file into memory, and writes to the first, as a kernel
 * that is loaded and patched. */
static void map_kernel(struct fixture *f, unsigned first, unsigned count)
{
	uint8_t *host = f->memory + first * f->page;

	assert_ptr_equal(mmap(host, count * f->page, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_FIXED, f->file, 0),
			 host);
	memset(host, 'p', f->page);
	f->guest.kernel_pages = (struct load_mapping){ host, count * f->page };
}

/* expected: a character per page; '0' for zeros. */
static void assert_pages(struct fixture *f, const char *expected)
{
	assert_int_equal(strlen(expected), PAGES);
	for (unsigned i = 0; i < PAGES; i++) {
		uint8_t want = expected[i] == '0' ? 0 : (uint8_t)expected[i];
		const uint8_t *page = f->memory + i * f->page;

		for (size_t j = 0; j < f->page; j++)
			if (page[j] != want)
				fail_msg("page %u has %#x at %zu", i, page[j],
					 j);
	}
}

static unsigned resident(struct fixture *f)
{
	unsigned char in_core[PAGES];
	unsigned count = 0;

	assert_int_equal(mincore(f->memory, PAGES * f->page, in_core), 0);
	for (unsigned i = 0; i < PAGES; i++)
		count += in_core[i] & 1;
	return count;
}

static void pages_go_back_and_read_as_zeros(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(resident(f), PAGES);
	assert_int_equal(memory_discard(&f->guest, f->memory + 2 * f->page,
					5 * f->page),
			 0);
	assert_int_equal(resident(f), PAGES - 5);
	assert_pages(f, "gg00000ggggggggg");
}

static void parts_of_pages_stay(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(memory_discard(&f->guest, f->memory + 2 * f->page - 1,
					2 * f->page + 2),
			 0);
	assert_pages(f, "gg00gggggggggggg");
	/* ranges without a whole page, of a part of one or two */
	assert_int_equal(memory_discard(&f->guest, f->memory + 1, f->page - 1),
			 0);
	assert_int_equal(memory_discard(&f->guest, f->memory + 1, f->page), 0);
	assert_int_equal(memory_discard(&f->guest, f->memory + 6 * f->page, 1),
			 0);
	assert_int_equal(memory_discard(&f->guest, f->memory, 0), 0);
	assert_pages(f, "gg00gggggggggggg");
}

static void pages_of_the_kernels_file_stay(void **state)
{
	struct fixture *f = *state;

	map_kernel(f, 4, 6);
	assert_int_equal(memory_discard(&f->guest, f->memory + 2 * f->page,
					10 * f->page + f->page / 2),
			 0);
	assert_pages(f, "gg00pkkkkk00gggg");
	assert_int_equal(memory_discard(&f->guest, f->memory + 3 * f->page,
					3 * f->page),
			 0);
	assert_int_equal(memory_discard(&f->guest, f->memory + 5 * f->page,
					2 * f->page),
			 0);
	assert_int_equal(memory_discard(&f->guest, f->memory + 9 * f->page,
					4 * f->page),
			 0);
	assert_pages(f, "gg00pkkkkk000ggg");
}

static void all_around_the_kernels_file_goes(void **state)
{
	struct fixture *f = *state;

	map_kernel(f, 4, 6);
	assert_int_equal(memory_discard(&f->guest, f->memory, 4 * f->page), 0);
	assert_int_equal(memory_discard(&f->guest, f->memory + 10 * f->page,
					6 * f->page),
			 0);
	assert_pages(f, "0000pkkkkk000000");
}

/* As back-ends see it, for whom memory is a file. */
static void shared_pages_go_back_for_all_who_map_them(void **state)
{
	struct fixture *f = *state;
	size_t len = PAGES * f->page;
	uint8_t *elsewhere;

	f->guest.fd = memfd_create("memory", MFD_CLOEXEC);
	assert_int_equal(ftruncate(f->guest.fd, (off_t)len), 0);
	assert_ptr_equal(mmap(f->memory, len, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, f->guest.fd, 0),
			 f->memory);
	elsewhere = mmap(NULL, len, PROT_READ, MAP_SHARED, f->guest.fd, 0);
	assert_ptr_not_equal(elsewhere, MAP_FAILED);
	memset(f->memory, 'e', len);
	if (madvise(f->memory, f->page, MADV_REMOVE) == 0 &&
	    elsewhere[0] == 'e')
		skip(); /* an emulator, which takes it for a hint */
	memset(f->memory, 'g', len);
	assert_int_equal(memory_discard(&f->guest, f->memory + 2 * f->page,
					5 * f->page),
			 0);
	assert_pages(f, "gg00000ggggggggg");
	assert_memory_equal(elsewhere, f->memory, len);
	munmap(elsewhere, len);
	close(f->guest.fd);
}

static void what_the_host_refuses_is_told(void **state)
{
	struct fixture *f = *state;

	uint8_t *last = f->memory + (PAGES - 1) * f->page;

	assert_int_equal(munmap(last, f->page), 0);
	if (madvise(last, f->page, MADV_DONTNEED) == 0)
		skip(); /* an emulator, which takes it for a hint */
	assert_int_equal(memory_discard(&f->guest, last, f->page), -ENOMEM);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(pages_go_back_and_read_as_zeros),
		TEST(parts_of_pages_stay),
		TEST(pages_of_the_kernels_file_stay),
		TEST(all_around_the_kernels_file_goes),
		TEST(shared_pages_go_back_for_all_who_map_them),
		TEST(what_the_host_refuses_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
