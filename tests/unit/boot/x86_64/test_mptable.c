/* boot/x86_64/mptable: read back as MP specification 1.4 has a kernel read
 * it. */
#include "tests/unit/boot/boot_fixture.h"

#include "boot/x86_64/mptable.h"
#include "boot/x86_64/mptable_abi.h"

static uint8_t sum_of(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return sum;
}

/* Searches base memory's last KiB for the pointer; gives the table. */
static const struct mp_header *table_find(const struct guest_mem *mem)
{
	for (uint64_t gpa = 639 * 1024; gpa < 640 * 1024; gpa += 16) {
		const struct mp_pointer *p = guest_range(mem, gpa, 16);

		if (memcmp(p->signature, "_MP_", 4) != 0)
			continue;
		assert_int_equal(sum_of(p, sizeof(*p)), 0);
		assert_int_equal(p->length, 1);
		assert_int_equal(p->spec_rev, 4);
		return guest_range(mem, le32_get(p->table),
				   sizeof(struct mp_header));
	}
	fail_msg("no floating pointer");
	return NULL;
}

/* Counts the entries of each type, in order and without gap. */
static void table_count(const struct mp_header *h, unsigned count[5])
{
	const uint8_t *entry = (const uint8_t *)(h + 1);
	const uint8_t *end = (const uint8_t *)h + le16_get(h->length);
	unsigned entries = 0, type = 0;

	for (; entry < end; entries++) {
		assert_true(*entry >= type && *entry <= 4);
		type = *entry;
		count[type]++;
		entry += type == MP_PROCESSOR ? 20 : 8;
	}
	assert_ptr_equal(entry, end);
	assert_int_equal(entries, le16_get(h->entry_count));
}

static void check_table(unsigned cpus)
{
	struct guest_mem mem = memory_make(MIB);
	struct error err = { 0 };
	unsigned count[5] = { 0 };
	const struct mp_header *h;
	const struct mp_processor *cpu;

	assert_int_equal(mptable_build(&mem, cpus, &err), 0);
	h = table_find(&mem);
	assert_memory_equal(h->signature, "PCMP", 4);
	assert_int_equal(sum_of(h, le16_get(h->length)), 0);
	table_count(h, count);
	assert_int_equal(count[MP_PROCESSOR], cpus);
	assert_int_equal(count[MP_BUS], 1);
	assert_int_equal(count[MP_IO_APIC], 1);
	assert_int_equal(count[MP_IO_INTERRUPT], 24);
	assert_int_equal(count[MP_LOCAL_INTERRUPT], 2);
	cpu = (const struct mp_processor *)(h + 1);
	for (unsigned i = 0; i < cpus; i++) {
		assert_int_equal(cpu[i].apic_id, i);
		assert_int_equal(cpu[i].flags, i == 0 ? 3 : 1);
	}
	memory_free(&mem);
}

static void one_cpu_makes_a_valid_table(void **state)
{
	(void)state;
	check_table(1);
}

static void sixty_four_cpus_make_a_valid_table(void **state)
{
	(void)state;
	check_table(64);
}

static void each_gsi_is_the_isa_interrupt_of_its_number(void **state)
{
	struct guest_mem mem = memory_make(MIB);
	struct error err = { 0 };
	const struct mp_interrupt *irq;

	(void)state;
	assert_int_equal(mptable_build(&mem, 1, &err), 0);
	irq = (const struct mp_interrupt *)((const uint8_t *)table_find(&mem) +
					    sizeof(struct mp_header) +
					    sizeof(struct mp_processor) + 16);
	for (unsigned i = 0; i < 24; i++) {
		assert_int_equal(irq[i].type, MP_IO_INTERRUPT);
		assert_int_equal(irq[i].source_irq, i);
		assert_int_equal(irq[i].apic_pin, i);
		assert_int_equal(le16_get(irq[i].flags), 0);
	}
	memory_free(&mem);
}

static void the_table_stays_between_its_page_and_video_memory(void **state)
{
	struct guest_mem mem = memory_make(MIB);
	uint8_t *host = mem.regions[0].host;
	struct error err = { 0 };

	(void)state;
	memset(host, 0xee, MIB);
	assert_int_equal(mptable_build(&mem, 64, &err), 0);
	for (unsigned i = 0; i < 0x9f000; i++)
		assert_int_equal(host[i], 0xee);
	for (unsigned i = 0xa0000; i < MIB; i++)
		assert_int_equal(host[i], 0xee);
	memory_free(&mem);
}

static void cpu_counts_out_of_range_are_errors(void **state)
{
	static const unsigned counts[] = { 0, 65, 1000000, UINT32_MAX };
	struct guest_mem mem = memory_make(MIB);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct error err = { 0 };

		assert_int_equal(mptable_build(&mem, counts[i], &err), -1);
		assert_int_equal(err.class, ERROR_USAGE);
	}
	memory_free(&mem);
}

static void memory_without_the_last_kib_is_an_error(void **state)
{
	struct guest_mem mem = memory_make(639 * 1024);
	struct error err = { 0 };

	(void)state;
	assert_int_equal(mptable_build(&mem, 1, &err), -1);
	assert_int_equal(err.class, ERROR_IMAGE);
	memory_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_cpu_makes_a_valid_table),
		cmocka_unit_test(sixty_four_cpus_make_a_valid_table),
		cmocka_unit_test(each_gsi_is_the_isa_interrupt_of_its_number),
		cmocka_unit_test(
			the_table_stays_between_its_page_and_video_memory),
		cmocka_unit_test(cpu_counts_out_of_range_are_errors),
		cmocka_unit_test(memory_without_the_last_kib_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
