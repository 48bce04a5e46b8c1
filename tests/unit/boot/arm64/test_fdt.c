/* boot/arm64/fdt: the tree says what the config says, in words that dtc has no
 * quarrel with. */
#include "tests/unit/boot/boot_fixture.h"

#include <fcntl.h>
#include <libfdt.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "boot/arm64/fdt.h"

#define RAM_BASE 0x80000000ULL
#define CPUS 12

static const uint64_t mpidrs[CPUS] = {
	0x0,	 0x1,	  0x2,	   0x3,	    0x100,	 0x101,
	0x10000, 0x10001, 0x10100, 0x10101, 0x100000000, 0x100000001,
};

static const struct fdt_cache caches[] = {
	{ 1, FDT_CACHE_DATA, 0x10000, 64, 256 },
	{ 1, FDT_CACHE_INSTRUCTION, 0x8000, 64, 0 },
	{ 2, FDT_CACHE_UNIFIED, 0x100000, 64, 1024 },
	{ 3, FDT_CACHE_UNIFIED, 0x2000000, 64, 32768 },
};

static const struct fdt_device virtio[] = {
	{ 0x10000000, 0x1000, 16 },
	{ 0x10001000, 0x1000, 17 },
};

static struct guest_mem mem = {
	.count = 3,
	.regions = {
		{ .gpa = RAM_BASE, .size = 64 * MIB },
		{ .gpa = 0x1000000000, .size = 128 * MIB },
		{ .gpa = 0x2000000000, .size = 128 * MIB }, /* not RAM */
	},
};

static struct fdt_config config_make(void)
{
	return (struct fdt_config){
		.cmdline = "console=ttyS0 \"a b\"",
		.initrd = { .gpa = 0x83ff0000, .size = 0x1234 },
		.mem = &mem,
		.ram_count = 2,
		.cpu_count = CPUS,
		.mpidrs = mpidrs,
		.cache_count = ARRAY_SIZE(caches),
		.caches = caches,
		.gic_version = 3,
		.gicd_base = 0x8000000,
		.gicd_size = 0x10000,
		.gicr_base = 0x8010000,
		.gicr_size = 0x20000 * CPUS,
		.has_serial = true,
		.serial = { .gpa = 0x9000000, .size = 8, .spi = 1 },
		.gpio = { .gpa = 0x9030000, .size = 0x1000, .spi = 7 },
		.gpio_button_line = 3,
		.virtio_count = ARRAY_SIZE(virtio),
		.virtio = virtio,
		.pmu = true,
		.rng_seed = { 1, 2, 3 },
		.kaslr_seed = 0x0123456789abcdef,
	};
}

static struct fdt_config config_make_least(void)
{
	return (struct fdt_config){
		.cmdline = "",
		.mem = &mem,
		.ram_count = 1,
		.cpu_count = 1,
		.mpidrs = mpidrs,
		.gic_version = 2,
		.gicd_base = 0x8000000,
		.gicd_size = 0x10000,
		.gicc_base = 0x8010000,
		.gicc_size = 0x20000,
	};
}

static uint8_t *tree_make(const struct fdt_config *config)
{
	uint8_t *tree = malloc(0x10000);
	struct error err;
	int size = fdt_build(config, tree, 0x10000, &err);

	if (size < 0)
		fail_msg("%s", err.text);
	assert_int_equal(size, fdt_totalsize(tree));
	assert_int_equal(fdt_check_full(tree, (size_t)size), 0);
	return tree;
}

static bool has_node(const void *tree, const char *path)
{
	return fdt_path_offset(tree, path) >= 0;
}

static const void *prop(const void *tree, const char *path, const char *name,
			int *len)
{
	return fdt_getprop(tree, fdt_path_offset(tree, path), name, len);
}

/* Compares a property with 32-bit cells. */
#define check_cells(tree, path, name, ...)                                   \
	do {                                                                 \
		const uint32_t want_[] = { __VA_ARGS__ };                    \
		check_cells_are(tree, path, name, want_, ARRAY_SIZE(want_)); \
	} while (0)

static void check_cells_are(const void *tree, const char *path,
			    const char *name, const uint32_t *want,
			    size_t count)
{
	int len;
	const fdt32_t *cells = prop(tree, path, name, &len);

	if (!cells)
		fail_msg("%s has no %s", path, name);
	assert_int_equal(len, count * 4);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(fdt32_to_cpu(cells[i]), want[i]);
}

static void check_string(const void *tree, const char *path, const char *name,
			 const char *want)
{
	int len;
	const char *value = prop(tree, path, name, &len);

	if (!value)
		fail_msg("%s has no %s", path, name);
	assert_string_equal(value, want);
}

static void check_absent(const void *tree, const char *path, const char *name)
{
	int len;

	assert_null(prop(tree, path, name, &len));
}

static uint32_t phandle_of(const void *tree, const char *path)
{
	return fdt_get_phandle(tree, fdt_path_offset(tree, path));
}

static void chosen_has_what_the_kernel_is_given(void **state)
{
	struct fdt_config config = config_make();
	uint8_t *tree = tree_make(&config);
	int len;

	(void)state;
	check_string(tree, "/chosen", "bootargs", config.cmdline);
	check_cells(tree, "/chosen", "linux,initrd-start", 0, 0x83ff0000);
	check_cells(tree, "/chosen", "linux,initrd-end", 0, 0x83ff1234);
	check_cells(tree, "/chosen", "kaslr-seed", 0x01234567, 0x89abcdef);
	check_string(tree, "/chosen", "stdout-path", "/serial@9000000");
	assert_memory_equal(prop(tree, "/chosen", "rng-seed", &len),
			    config.rng_seed, 32);
	assert_int_equal(len, 32);
	free(tree);
}

static void what_is_not_there_is_left_out(void **state)
{
	struct fdt_config config = config_make_least();
	uint8_t *tree = tree_make(&config);

	(void)state;
	check_string(tree, "/chosen", "bootargs", "");
	check_absent(tree, "/chosen", "linux,initrd-start");
	check_absent(tree, "/chosen", "linux,initrd-end");
	check_absent(tree, "/chosen", "stdout-path");
	check_absent(tree, "/chosen", "rng-seed");
	check_absent(tree, "/chosen", "kaslr-seed");
	check_absent(tree, "/cpus/cpu@0", "next-level-cache");
	assert_false(has_node(tree, "/pmu"));
	assert_false(has_node(tree, "/gpio-keys"));
	assert_false(has_node(tree, "/memory@1000000000"));
	free(tree);
}

static void only_ram_is_memory(void **state)
{
	struct fdt_config config = config_make();
	uint8_t *tree = tree_make(&config);

	(void)state;
	check_cells(tree, "/memory@80000000", "reg", 0, RAM_BASE, 0, 64 * MIB);
	check_cells(tree, "/memory@1000000000", "reg", 0x10, 0, 0, 128 * MIB);
	assert_false(has_node(tree, "/memory@2000000000"));
	free(tree);
}

static void cpus_have_their_affinity_and_caches(void **state)
{
	struct fdt_config config = config_make();
	uint8_t *tree = tree_make(&config);

	(void)state;
	check_cells(tree, "/cpus/cpu@10101", "reg", 0, 0x10101);
	check_cells(tree, "/cpus/cpu@100000001", "reg", 1, 1);
	check_string(tree, "/cpus/cpu@1", "enable-method", "psci");
	check_string(tree, "/cpus/cpu@1", "compatible", "arm,armv8");
	check_cells(tree, "/cpus/cpu@1", "d-cache-size", 0x10000);
	check_cells(tree, "/cpus/cpu@1", "d-cache-line-size", 64);
	check_cells(tree, "/cpus/cpu@1", "d-cache-sets", 256);
	check_cells(tree, "/cpus/cpu@1", "i-cache-size", 0x8000);
	check_absent(tree, "/cpus/cpu@1", "i-cache-sets");
	check_cells(tree, "/cpus/cpu@1", "next-level-cache",
		    phandle_of(tree, "/cpus/cpu@1/l2-cache"));
	check_cells(tree, "/cpus/cpu@1/l2-cache", "cache-level", 2);
	check_cells(tree, "/cpus/cpu@1/l2-cache", "cache-size", 0x100000);
	check_cells(tree, "/cpus/cpu@1/l2-cache", "next-level-cache",
		    phandle_of(tree, "/cpus/l3-cache"));
	check_cells(tree, "/cpus/cpu@0/l2-cache", "next-level-cache",
		    phandle_of(tree, "/cpus/l3-cache"));
	check_cells(tree, "/cpus/l3-cache", "cache-sets", 32768);
	assert_int_not_equal(phandle_of(tree, "/cpus/cpu@1/l2-cache"),
			     phandle_of(tree, "/cpus/cpu@0/l2-cache"));
	free(tree);
}

static void psci_is_called_by_hvc(void **state)
{
	struct fdt_config config = config_make();
	uint8_t *tree = tree_make(&config);

	(void)state;
	check_string(tree, "/psci", "method", "hvc");
	check_string(tree, "/psci", "compatible", "arm,psci-1.0");
	assert_true(fdt_stringlist_contains(prop(tree, "/psci", "compatible",
						 &(int){ 0 }),
					    35, "arm,psci-0.2"));
	free(tree);
}

static void both_interrupt_controllers_are_described(void **state)
{
	struct fdt_config config = config_make();
	uint8_t *tree = tree_make(&config);

	(void)state;
	check_string(tree, "/intc@8000000", "compatible", "arm,gic-v3");
	check_cells(tree, "/intc@8000000", "reg", 0, 0x8000000, 0, 0x10000, 0,
		    0x8010000, 0, 0x20000 * CPUS);
	check_cells(tree, "/", "interrupt-parent",
		    phandle_of(tree, "/intc@8000000"));
	check_cells(tree, "/timer", "interrupts", 1, 13, 8, 1, 14, 8, 1, 11, 8,
		    1, 10, 8);
	check_cells(tree, "/pmu", "interrupts", 1, 7, 4);
	free(tree);

	config = config_make_least();
	config.cpu_count = 3;
	tree = tree_make(&config);
	check_string(tree, "/intc@8000000", "compatible", "arm,cortex-a15-gic");
	check_cells(tree, "/intc@8000000", "reg", 0, 0x8000000, 0, 0x10000, 0,
		    0x8010000, 0, 0x20000);
	check_cells(tree, "/timer", "interrupts", 1, 13, 0x708, 1, 14, 0x708, 1,
		    11, 0x708, 1, 10, 0x708);
	free(tree);
}

static void devices_have_registers_and_rising_edges(void **state)
{
	struct fdt_config config = config_make();
	uint8_t *tree = tree_make(&config);

	(void)state;
	check_cells(tree, "/virtio_mmio@10001000", "reg", 0, 0x10001000, 0,
		    0x1000);
	check_cells(tree, "/virtio_mmio@10001000", "interrupts", 0, 17, 1);
	check_string(tree, "/virtio_mmio@10000000", "compatible",
		     "virtio,mmio");
	check_cells(tree, "/serial@9000000", "reg", 0, 0x9000000, 0, 8);
	check_cells(tree, "/serial@9000000", "interrupts", 0, 1, 1);
	check_string(tree, "/serial@9000000", "compatible", "ns16550a");
	check_cells(tree, "/gpio@9030000", "interrupts", 0, 7, 1);
	check_cells(tree, "/gpio-keys/key-power", "gpios",
		    phandle_of(tree, "/gpio@9030000"), 3, 0);
	check_cells(tree, "/gpio-keys/key-power", "linux,code", 116);
	free(tree);
}

static void a_tree_that_does_not_fit_leaves_the_rest_alone(void **state)
{
	struct fdt_config config = config_make();
	uint8_t *tree = tree_make(&config);
	size_t size = fdt_totalsize(tree);
	struct error err;

	(void)state;
	for (size_t room = 0; room < size; room += 61) {
		memset(tree, 0xee, size + 64);
		assert_int_equal(fdt_build(&config, tree, room, &err), -1);
		assert_int_equal(err.class, ERROR_IMAGE);
		assert_non_null(strstr(err.text, "device tree"));
		for (size_t i = room; i < size + 64; i++)
			assert_int_equal(tree[i], 0xee);
	}
	free(tree);
}

static void a_long_command_line_is_refused(void **state)
{
	struct fdt_config config = config_make();
	char cmdline[2049] = "";
	struct error err;
	uint8_t *tree;

	(void)state;
	memset(cmdline, 'x', 2047);
	config.cmdline = cmdline;
	tree = tree_make(&config);
	check_string(tree, "/chosen", "bootargs", cmdline);
	cmdline[2047] = 'x';
	assert_int_equal(fdt_build(&config, tree, 0x10000, &err), -1);
	assert_int_equal(err.class, ERROR_USAGE);
	assert_non_null(strstr(err.text, "2048 bytes"));
	free(tree);
}

/* What dtc says of the tree while it reads it back. */
static void check_dtc(const struct fdt_config *config)
{
	static const char command[] =
		"dtc -I dtb -O dts -o /dev/null /dev/fd/3 2>&1 3<&%d";
	uint8_t *tree = tree_make(config);
	struct boot_file file = file_make("dtb", tree, fdt_totalsize(tree));
	char text[sizeof(command) + 16];
	char said[2048];
	size_t len;
	FILE *dtc;

	snprintf(text, sizeof(text), command, file.fd);
	fcntl(file.fd, F_SETFD, 0);
	lseek(file.fd, 0, SEEK_SET);
	dtc = popen(text, "r");
	assert_non_null(dtc);
	len = fread(said, 1, sizeof(said) - 1, dtc);
	said[len] = '\0';
	if (pclose(dtc) != 0 || len > 0)
		fail_msg("dtc: %s", said);
	close(file.fd);
	free(tree);
}

static void dtc_has_no_warning(void **state)
{
	struct fdt_config config = config_make();

	(void)state;
	if (system("dtc --version >/dev/null 2>&1") != 0)
		skip();
	check_dtc(&config);
	config.gic_version = 2;
	config.gicc_base = 0x8010000;
	config.gicc_size = 0x2000;
	check_dtc(&config);
	config = config_make_least();
	check_dtc(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chosen_has_what_the_kernel_is_given),
		cmocka_unit_test(what_is_not_there_is_left_out),
		cmocka_unit_test(only_ram_is_memory),
		cmocka_unit_test(cpus_have_their_affinity_and_caches),
		cmocka_unit_test(psci_is_called_by_hvc),
		cmocka_unit_test(both_interrupt_controllers_are_described),
		cmocka_unit_test(devices_have_registers_and_rising_edges),
		cmocka_unit_test(
			a_tree_that_does_not_fit_leaves_the_rest_alone),
		cmocka_unit_test(a_long_command_line_is_refused),
		cmocka_unit_test(dtc_has_no_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
