/* boot/x86_64/acpi and aml: the tables stand up to iasl, and say what the
 * machine is. */
#include "tests/unit/boot/boot_fixture.h"

#include <stdio.h>
#include <sys/wait.h>

#include "boot/x86_64/acpi.h"
#include "boot/x86_64/acpi_abi.h"
#include "boot/x86_64/aml.h"

static struct acpi_config config_make(unsigned cpus, unsigned virtio)
{
	struct acpi_config config = {
		.cpu_count = cpus,
		.virtio_count = virtio,
		.serial = true,
		.serial_gsi = 4,
		.event_gsi = 9,
	};

	for (unsigned i = 0; i < virtio && i < ACPI_VIRTIO_MAX; i++)
		config.virtio[i] = (struct acpi_virtio){
			.gpa = 0xd0000000 + i * 0x1000,
			.size = 0x1000,
			.gsi = 5 + i % 18,
		};
	return config;
}

static const void *table_at(const struct guest_mem *mem, uint64_t gpa,
			    const char *signature)
{
	const struct acpi_header *h = guest_range(mem, gpa, sizeof(*h));
	const uint8_t *bytes = (const uint8_t *)h;
	uint8_t sum = 0;

	assert_non_null(h);
	assert_memory_equal(h->signature, signature, 4);
	assert_non_null(guest_range(mem, gpa, le32_get(h->length)));
	for (uint32_t i = 0; i < le32_get(h->length); i++)
		sum = (uint8_t)(sum + bytes[i]);
	assert_int_equal(sum, 0);
	return h;
}

/* Builds the tables and walks from the RSDP to all of them. */
struct tables {
	struct guest_mem mem;
	const struct acpi_rsdp *rsdp;
	const struct acpi_xsdt *xsdt;
	const struct acpi_fadt *fadt;
	const struct acpi_madt *madt;
	const struct acpi_header *dsdt;
};

static struct tables tables_make(const struct acpi_config *config)
{
	struct tables t = { .mem = memory_make(MIB) };
	struct error err = { 0 };
	uint64_t rsdp;

	assert_int_equal(acpi_build(&t.mem, config, &rsdp, &err), 0);
	assert_int_equal(rsdp, 0xe0000);
	t.rsdp = guest_range(&t.mem, rsdp, sizeof(*t.rsdp));
	t.xsdt = table_at(&t.mem, le64_get(t.rsdp->xsdt), "XSDT");
	t.fadt = table_at(&t.mem, le64_get(t.xsdt->fadt), "FACP");
	t.madt = table_at(&t.mem, le64_get(t.xsdt->madt), "APIC");
	t.dsdt = table_at(&t.mem, le64_get(t.fadt->x_dsdt), "DSDT");
	return t;
}

/* Runs a shell command in dir; its output goes to dir/out. */
static int run_in(const char *dir, const char *command)
{
	char line[512];
	int status;

	snprintf(line, sizeof(line), "cd %s && { %s; } >out 2>&1", dir,
		 command);
	status = system(line);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void show_output(const char *dir)
{
	char line[512];

	snprintf(line, sizeof(line), "cat %s/out >&2", dir);
	if (system(line) != 0)
		print_error("no output\n");
}

static void table_save(const char *dir, const char *name,
		       const struct acpi_header *table)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.dat", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(table, le32_get(table->length), 1, f), 1);
	assert_int_equal(fclose(f), 0);
}

/* Disassembles every table and compiles the result again: neither may say a
 * warning, an error or even a remark, and the DSDT must come out the same. */
static void check_with_iasl(const struct acpi_config *config)
{
	struct tables t = tables_make(config);
	char dir[] = "/tmp/onggi-acpi-XXXXXX";
	char cleanup[64];

	if (system("command -v iasl >/dev/null") != 0)
		fail_msg("iasl not found: install acpica-tools");
	assert_non_null(mkdtemp(dir));
	table_save(dir, "xsdt", &t.xsdt->header);
	table_save(dir, "facp", &t.fadt->header);
	table_save(dir, "apic", &t.madt->header);
	table_save(dir, "dsdt", t.dsdt);
	for (unsigned i = 0; i < 4; i++) {
		static const char *const names[] = { "xsdt", "facp", "apic",
						     "dsdt" };
		char command[256];

		snprintf(command, sizeof(command),
			 "iasl -d %s.dat && ! grep -iE 'warning|error' out && "
			 "iasl -oa -p again-%s %s.dsl && "
			 "! grep -E '[1-9][0-9]* (Errors|Warnings|Remarks)|"
			 "^(Error|Warning|Remark)' out",
			 names[i], names[i], names[i]);
		if (run_in(dir, command) != 0) {
			show_output(dir);
			fail_msg("iasl does not like %s", names[i]);
		}
	}
	/* behind the header, which has the compiler's name and checksum */
	if (run_in(dir, "cmp -i 36 dsdt.dat again-dsdt.aml") != 0) {
		show_output(dir);
		fail_msg("the DSDT changes when compiled again");
	}
	snprintf(cleanup, sizeof(cleanup), "rm -rf %s", dir);
	assert_int_equal(system(cleanup), 0);
	memory_free(&t.mem);
}

static void iasl_accepts_the_smallest_machine(void **state)
{
	struct acpi_config config = config_make(1, 0);

	(void)state;
	config.serial = false;
	check_with_iasl(&config);
}

static void iasl_accepts_a_usual_machine(void **state)
{
	struct acpi_config config = config_make(2, 3);

	(void)state;
	check_with_iasl(&config);
}

static void iasl_accepts_the_largest_machine(void **state)
{
	struct acpi_config config = config_make(ACPI_CPUS_MAX, ACPI_VIRTIO_MAX);

	(void)state;
	check_with_iasl(&config);
}

static void rsdp_has_both_checksums(void **state)
{
	struct acpi_config config = config_make(1, 1);
	struct tables t = tables_make(&config);
	const uint8_t *bytes = (const uint8_t *)t.rsdp;
	uint8_t sum = 0;

	(void)state;
	assert_memory_equal(t.rsdp->signature, "RSD PTR ", 8);
	assert_int_equal(t.rsdp->revision, 2);
	for (unsigned i = 0; i < 20; i++)
		sum = (uint8_t)(sum + bytes[i]);
	assert_int_equal(sum, 0);
	for (unsigned i = 20; i < sizeof(*t.rsdp); i++)
		sum = (uint8_t)(sum + bytes[i]);
	assert_int_equal(sum, 0);
	memory_free(&t.mem);
}

static void fadt_says_hardware_reduced_and_names_power_ports(void **state)
{
	struct acpi_config config = config_make(1, 1);
	struct tables t = tables_make(&config);

	(void)state;
	assert_true(le32_get(t.fadt->flags) & ACPI_FADT_HW_REDUCED_ACPI);
	assert_true(le32_get(t.fadt->flags) & ACPI_FADT_RESET_REG_SUP);
	/* no keyboard controller, no VGA, no CMOS clock to probe for */
	assert_int_equal(le16_get(t.fadt->iapc_boot_arch), 1 << 2 | 1 << 5);
	assert_int_equal(t.fadt->sleep_control.space, ACPI_SPACE_IO);
	assert_int_equal(le64_get(t.fadt->sleep_control.address), 0x600);
	assert_int_equal(le64_get(t.fadt->sleep_status.address), 0x601);
	assert_int_equal(le64_get(t.fadt->reset_register.address), 0x602);
	assert_int_equal(t.fadt->reset_register.bit_width, 8);
	assert_int_equal(t.fadt->reset_value, 1);
	memory_free(&t.mem);
}

static void madt_lists_each_cpu_and_one_io_apic(void **state)
{
	struct acpi_config config = config_make(64, 0);
	struct tables t = tables_make(&config);
	const struct acpi_madt_local_apic *cpu =
		(const struct acpi_madt_local_apic *)(t.madt + 1);
	const struct acpi_madt_io_apic *io_apic =
		(const struct acpi_madt_io_apic *)(cpu + 64);

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(cpu[i].type, 0);
		assert_int_equal(cpu[i].length, 8);
		assert_int_equal(cpu[i].processor_uid, i);
		assert_int_equal(cpu[i].apic_id, i);
		assert_int_equal(le32_get(cpu[i].flags), 1);
	}
	assert_int_equal(io_apic->type, 1);
	assert_int_equal(le32_get(io_apic->address), 0xfec00000);
	assert_int_equal(le32_get(io_apic->gsi_base), 0);
	assert_int_equal(le32_get(t.madt->header.length), 44 + 64 * 8 + 12);
	memory_free(&t.mem);
}

static void limits_of_the_config_are_errors(void **state)
{
	struct guest_mem mem = memory_make(MIB);
	struct acpi_config configs[] = {
		config_make(0, 0), config_make(65, 0), config_make(1, 33),
		config_make(1, 1), config_make(1, 1),  config_make(1, 1),
	};
	uint64_t rsdp;

	(void)state;
	configs[3].virtio[0].gpa = 1ULL << 32;
	configs[4].virtio[0].gpa = 0xfffff000;
	configs[4].virtio[0].size = 0x2000;
	configs[5].virtio[0].size = 0;
	for (unsigned i = 0; i < 6; i++) {
		struct error err = { 0 };

		assert_int_equal(acpi_build(&mem, &configs[i], &rsdp, &err),
				 -1);
		assert_int_equal(err.class, ERROR_USAGE);
		assert_true(err.text[0] != 0);
	}
	memory_free(&mem);
}

static void memory_that_ends_below_the_tables_is_an_error(void **state)
{
	struct guest_mem mem = memory_make(0xff000);
	struct acpi_config config = config_make(1, 0);
	struct error err = { 0 };
	uint64_t rsdp;

	(void)state;
	assert_int_equal(acpi_build(&mem, &config, &rsdp, &err), -1);
	assert_int_equal(err.class, ERROR_IMAGE);
	memory_free(&mem);
}

static void package_lengths_grow_from_one_to_three_bytes(void **state)
{
	static const struct {
		unsigned content;
		uint8_t expect[3];
		unsigned bytes;
	} cases[] = {
		{ 62, { 63 }, 1 },
		{ 63, { 0x41, 0x04 }, 2 },	   /* 65 */
		{ 4093, { 0x4f, 0xff }, 2 },	   /* 4095 */
		{ 4094, { 0x81, 0x00, 0x01 }, 3 }, /* 4097 */
	};
	static uint8_t buf[8192];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct aml aml;

		aml_init(&aml, buf, sizeof(buf));
		aml_if(&aml);
		for (unsigned n = 0; n < cases[i].content; n++)
			aml_integer(&aml, 0);
		aml_end(&aml);
		assert_false(aml.overflow);
		assert_int_equal(aml.len,
				 1 + cases[i].bytes + cases[i].content);
		assert_memory_equal(buf + 1, cases[i].expect, cases[i].bytes);
	}
}

/* A device with resources; the bytes it takes, as far as they fit. */
static size_t device_write(struct aml *aml, uint8_t *buf, size_t size)
{
	aml_init(aml, buf, size);
	aml_device(aml, "COM1");
	aml_name_eisa_id(aml, "_HID", "PNP0501");
	aml_name(aml, "_CRS");
	aml_resources(aml);
	aml_memory32_fixed(aml, 0, 16);
	aml_interrupt(aml, 4);
	aml_end(aml);
	aml_end(aml);
	return aml->len;
}

static void a_short_buffer_overflows_without_a_write_past_it(void **state)
{
	uint8_t whole[128];
	struct aml aml;
	size_t need = device_write(&aml, whole, sizeof(whole));

	(void)state;
	assert_false(aml.overflow);
	for (size_t size = 1; size <= need; size++) {
		uint8_t *buf = malloc(size); /* ASan watches its end */

		assert_true(device_write(&aml, buf, size) <= size);
		assert_int_equal(aml.overflow, size < need);
		free(buf);
	}
}

static void integers_take_the_shortest_encoding(void **state)
{
	static const uint8_t expect[] = {
		0x00, 0x01, 0x0a, 0x02, 0x0a, 0xff, 0x0b, 0x00,
		0x01, 0x0c, 0x00, 0x00, 0x01, 0x00, 0x0e, 0,
		0,    0,    0,	  1,	0,    0,    0,
	};
	uint8_t buf[64];
	struct aml aml;

	(void)state;
	aml_init(&aml, buf, sizeof(buf));
	aml_integer(&aml, 0);
	aml_integer(&aml, 1);
	aml_integer(&aml, 2);
	aml_integer(&aml, 255);
	aml_integer(&aml, 256);
	aml_integer(&aml, 65536);
	aml_integer(&aml, 1ULL << 32);
	assert_int_equal(aml.len, sizeof(expect));
	assert_memory_equal(buf, expect, sizeof(expect));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(iasl_accepts_the_smallest_machine),
		cmocka_unit_test(iasl_accepts_a_usual_machine),
		cmocka_unit_test(iasl_accepts_the_largest_machine),
		cmocka_unit_test(rsdp_has_both_checksums),
		cmocka_unit_test(
			fadt_says_hardware_reduced_and_names_power_ports),
		cmocka_unit_test(madt_lists_each_cpu_and_one_io_apic),
		cmocka_unit_test(limits_of_the_config_are_errors),
		cmocka_unit_test(memory_that_ends_below_the_tables_is_an_error),
		cmocka_unit_test(package_lengths_grow_from_one_to_three_bytes),
		cmocka_unit_test(
			a_short_buffer_overflows_without_a_write_past_it),
		cmocka_unit_test(integers_take_the_shortest_encoding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
