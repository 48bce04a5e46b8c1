#include "boot/x86_64/mptable.h"

#include <assert.h>
#include <string.h>

#include "boot/x86_64/checksum.h"
#include "boot/x86_64/layout.h"
#include "boot/x86_64/mptable_abi.h"

#define MP_SPEC_1_4 4
#define LOCAL_APIC_VERSION 0x14
#define IO_APIC_VERSION 0x11
#define IO_APIC_PINS 24
#define IO_APIC_ID 0 /* as in the register of KVM's I/O APIC */
#define ISA_BUS 0
#define ALL_LOCAL_APICS 0xff

#define PROCESSOR_ENABLED (1 << 0)
#define PROCESSOR_BOOT (1 << 1)
/* Family 6. Kernels take the real signature and features from CPUID. */
#define PROCESSOR_SIGNATURE 0x600
#define PROCESSOR_FEATURES (1 << 9 | 1 << 0) /* APIC, FPU */

/* The entries after those of the processors. */
struct mp_rest {
	struct mp_bus isa;
	struct mp_io_apic io_apic;
	struct mp_interrupt io[IO_APIC_PINS];
	struct mp_interrupt local[2];
};

static_assert(sizeof(struct mp_header) +
			      MPTABLE_CPUS_MAX * sizeof(struct mp_processor) +
			      sizeof(struct mp_rest) <=
		      X86_64_MP_POINTER - X86_64_MPTABLE,
	      "the MP table ends before its floating pointer");
static_assert(X86_64_MP_POINTER == 639 * 1024 &&
		      X86_64_BASE_MEMORY_END == 640 * 1024,
	      "the pointer is in the last KiB of 640 (MP 1.4, chapter 4)");

static void fill_processors(struct mp_processor *processors, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		processors[i] = (struct mp_processor){
			.type = MP_PROCESSOR,
			.apic_id = (uint8_t)i,
			.apic_version = LOCAL_APIC_VERSION,
			.flags = PROCESSOR_ENABLED |
				 (i == 0 ? PROCESSOR_BOOT : 0),
			.signature = le32(PROCESSOR_SIGNATURE),
			.features = le32(PROCESSOR_FEATURES),
		};
	}
}

static void fill_rest(struct mp_rest *rest)
{
	*rest = (struct mp_rest){
		.isa = {
			.type = MP_BUS,
			.id = ISA_BUS,
			.name = { 'I', 'S', 'A', ' ', ' ', ' ' },
		},
		.io_apic = {
			.type = MP_IO_APIC,
			.id = IO_APIC_ID,
			.version = IO_APIC_VERSION,
			.flags = 1, /* enabled */
			.address = le32(X86_64_IO_APIC),
		},
		/* LINT0 of the boot CPU is the 8259's, LINT1 of all the NMI */
		.local = {
			{
				.type = MP_LOCAL_INTERRUPT,
				.kind = MP_EXTINT,
				.source_bus = ISA_BUS,
				.apic_id = 0,
				.apic_pin = 0,
			},
			{
				.type = MP_LOCAL_INTERRUPT,
				.kind = MP_NMI,
				.source_bus = ISA_BUS,
				.apic_id = ALL_LOCAL_APICS,
				.apic_pin = 1,
			},
		},
	};
	for (unsigned i = 0; i < IO_APIC_PINS; i++) {
		rest->io[i] = (struct mp_interrupt){
			.type = MP_IO_INTERRUPT,
			.kind = MP_INT,
			.source_bus = ISA_BUS,
			.source_irq = (uint8_t)i,
			.apic_id = IO_APIC_ID,
			.apic_pin = (uint8_t)i,
		};
	}
}

static void fill_header(struct mp_header *header, unsigned cpu_count,
			size_t len)
{
	*header = (struct mp_header){
		.signature = { 'P', 'C', 'M', 'P' },
		.length = le16((uint16_t)len),
		.spec_rev = MP_SPEC_1_4,
		.oem_id = { 'O', 'N', 'G', 'G', 'I', ' ', ' ', ' ' },
		.product_id = { 'V', 'M', ' ', ' ', ' ', ' ', ' ', ' ', ' ',
				' ', ' ', ' ' },
		.entry_count =
			le16((uint16_t)(cpu_count + 2 + IO_APIC_PINS + 2)),
		.local_apic_address = le32(X86_64_LOCAL_APIC),
	};
	header->checksum = table_checksum(header, len);
}

int mptable_build(const struct guest_mem *mem, unsigned cpu_count,
		  struct error *err)
{
	size_t cpus_len = cpu_count * sizeof(struct mp_processor);
	size_t len =
		sizeof(struct mp_header) + cpus_len + sizeof(struct mp_rest);
	struct mp_pointer pointer = {
		.signature = { '_', 'M', 'P', '_' },
		.table = le32(X86_64_MPTABLE),
		.length = sizeof(pointer) / 16,
		.spec_rev = MP_SPEC_1_4,
	};
	uint8_t *table;

	if (cpu_count < 1 || cpu_count > MPTABLE_CPUS_MAX)
		return error_usage(err, "MP table: %u CPUs; wanted: 1 to %u",
				   cpu_count, MPTABLE_CPUS_MAX);
	pointer.checksum = table_checksum(&pointer, sizeof(pointer));
	table = guest_range(mem, X86_64_MPTABLE, len);
	if (!table ||
	    guest_write(mem, X86_64_MP_POINTER, &pointer, sizeof(pointer)) < 0)
		return error_image(err,
				   "no guest memory at %#x for the MP table",
				   X86_64_MPTABLE);

	fill_processors(
		(struct mp_processor *)(table + sizeof(struct mp_header)),
		cpu_count);
	fill_rest((struct mp_rest *)(table + sizeof(struct mp_header) +
				     cpus_len));
	fill_header((struct mp_header *)table, cpu_count, len);
	return 0;
}
