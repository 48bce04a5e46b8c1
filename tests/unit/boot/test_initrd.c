/* boot/initrd: as high as kernel and memory allow, and never over either. */
#include "tests/unit/boot/boot_fixture.h"

#include "boot/initrd.h"

static struct kernel_image kernel_make(void)
{
	return (struct kernel_image){
		.entry = 0x1000200,
		.start = 0x1000000,
		.end = 0x1800000,
		.initrd_max = 0x7fffffff,
		.cmdline_max = 2047,
	};
}

static int initrd_try(struct guest_mem *mem, const struct kernel_image *kernel,
		      size_t size, struct initrd *out, struct error *err)
{
	uint8_t *bytes = malloc(size + 1);
	struct boot_file file;
	int rc;

	memset(bytes, 0x1d, size);
	file = file_make("initrd root.img", bytes, size);
	rc = initrd_load(&file, mem, kernel, out, err);
	if (rc == 0)
		assert_memory_equal(guest_range(mem, out->gpa, size), bytes,
				    size);
	close(file.fd);
	free(bytes);
	return rc;
}

static void the_initrd_goes_to_the_top_of_memory(void **state)
{
	struct guest_mem mem = memory_make(64 * MIB);
	struct kernel_image kernel = kernel_make();
	struct error err = { 0 };
	struct initrd initrd;

	(void)state;
	assert_int_equal(initrd_try(&mem, &kernel, 100001, &initrd, &err), 0);
	assert_int_equal(initrd.gpa, (64 * MIB - 100001) & -KERNEL_PAGE_MAX);
	assert_int_equal(initrd.size, 100001);
	memory_free(&mem);
}

static void the_initrd_stays_below_the_kernels_limit(void **state)
{
	struct guest_mem mem = memory_make(64 * MIB);
	struct kernel_image kernel = kernel_make();
	struct error err = { 0 };
	struct initrd initrd;

	(void)state;
	kernel.initrd_max = 0x1ffffff;
	assert_int_equal(initrd_try(&mem, &kernel, 4096, &initrd, &err), 0);
	assert_int_equal(initrd.gpa, 0x2000000 - KERNEL_PAGE_MAX);
	kernel.initrd_max = UINT64_MAX;
	assert_int_equal(initrd_try(&mem, &kernel, 4096, &initrd, &err), 0);
	assert_int_equal(initrd.gpa, 64 * MIB - KERNEL_PAGE_MAX);
	memory_free(&mem);
}

static void the_initrd_fills_all_above_the_kernel_and_no_more(void **state)
{
	struct guest_mem mem = memory_make(32 * MIB);
	struct kernel_image kernel = kernel_make();
	struct error err = { 0 };
	struct initrd initrd;

	(void)state;
	kernel.end = 30 * MIB - 5;
	assert_int_equal(initrd_try(&mem, &kernel, 2 * MIB, &initrd, &err), 0);
	assert_int_equal(initrd.gpa, 30 * MIB);
	assert_int_equal(initrd_try(&mem, &kernel, 2 * MIB + 1, &initrd, &err),
			 -1);
	assert_int_equal(err.class, ERROR_IMAGE);
	assert_string_equal(err.text,
			    "initrd root.img (3 MiB) does not fit "
			    "into 32 MiB of guest memory");
	memory_free(&mem);
}

static void hopeless_initrds_are_errors(void **state)
{
	struct guest_mem mem = memory_make(32 * MIB);
	struct kernel_image kernel = kernel_make();
	struct error err = { 0 };
	struct initrd initrd;

	(void)state;
	assert_int_equal(initrd_try(&mem, &kernel, 0, &initrd, &err), -1);
	assert_non_null(strstr(err.text, "empty"));
	kernel.initrd_max = 0;
	assert_int_equal(initrd_try(&mem, &kernel, 1, &initrd, &err), -1);
	kernel.initrd_max = 0x7fffffff;
	kernel.start = 33 * MIB; /* in no region */
	assert_int_equal(initrd_try(&mem, &kernel, 1, &initrd, &err), -1);
	memory_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_initrd_goes_to_the_top_of_memory),
		cmocka_unit_test(the_initrd_stays_below_the_kernels_limit),
		cmocka_unit_test(
			the_initrd_fills_all_above_the_kernel_and_no_more),
		cmocka_unit_test(hopeless_initrds_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
