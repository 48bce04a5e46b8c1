#include "boot/x86_64/acpi.h"

#include <inttypes.h>
#include <string.h>

#include "abi/power.h"
#include "boot/x86_64/acpi_abi.h"
#include "boot/x86_64/acpi_dsdt.h"
#include "boot/x86_64/aml.h"
#include "boot/x86_64/checksum.h"
#include "boot/x86_64/layout.h"

#define OEM_ID "ONGGI "
#define OEM_TABLE_ID "ONGGIVM "
#define CREATOR_ID "ONGG"

/* The range for the tables, and the bytes of it that are taken. */
struct acpi_area {
	uint8_t *host;
	size_t used;
	size_t size;
};

/* Fills in the fixed fields of a header. table_finish() does the others. */
static void table_start(struct acpi_header *h, const char *signature,
			uint8_t revision)
{
	*h = (struct acpi_header){
		.revision = revision,
		.oem_revision = le32(1),
		.creator_revision = le32(1),
	};
	memcpy(h->signature, signature, sizeof(h->signature));
	memcpy(h->oem_id, OEM_ID, sizeof(h->oem_id));
	memcpy(h->oem_table_id, OEM_TABLE_ID, sizeof(h->oem_table_id));
	memcpy(h->creator_id, CREATOR_ID, sizeof(h->creator_id));
}

static void table_finish(struct acpi_header *h, size_t length)
{
	h->length = le32((uint32_t)length);
	h->checksum = table_checksum(h, length);
}

/* Takes len bytes of the area, aligned to 16 bytes. The area has enough of them
 * for all tables but the DSDT, see the static_assert. */
static void *area_take(struct acpi_area *area, size_t len, uint64_t *gpa)
{
	void *host = area->host + area->used;

	*gpa = X86_64_ACPI + area->used;
	area->used += (len + 15) & ~(size_t)15;
	return host;
}

/* The most bytes that the MADT may take. */
#define MADT_SIZE_MAX                                                  \
	(sizeof(struct acpi_madt) + sizeof(struct acpi_madt_io_apic) + \
	 ACPI_CPUS_MAX * sizeof(struct acpi_madt_local_apic))

static_assert(sizeof(struct acpi_rsdp) + sizeof(struct acpi_xsdt) +
			      sizeof(struct acpi_fadt) + MADT_SIZE_MAX + 64 <
		      4096,
	      "all tables but the DSDT fit into a part of the area");

static int config_check(const struct acpi_config *config, struct error *err)
{
	if (config->cpu_count < 1 || config->cpu_count > ACPI_CPUS_MAX)
		return error_usage(err, "ACPI: %u CPUs; wanted: 1 to %u",
				   config->cpu_count, ACPI_CPUS_MAX);
	if (config->virtio_count > ACPI_VIRTIO_MAX)
		return error_usage(err, "ACPI: %u virtio devices; at most %u",
				   config->virtio_count, ACPI_VIRTIO_MAX);
	for (unsigned i = 0; i < config->virtio_count; i++) {
		const struct acpi_virtio *v = &config->virtio[i];

		if (v->gpa > UINT32_MAX || v->size == 0 ||
		    v->size > UINT32_MAX - v->gpa)
			return error_usage(err,
					   "ACPI: virtio device %u at %#" PRIx64
					   " is not below 4 GiB",
					   i, v->gpa);
	}
	return 0;
}

static struct acpi_address power_register(unsigned offset)
{
	return (struct acpi_address){
		.space = ACPI_SPACE_IO,
		.bit_width = 8,
		.access_size = ACPI_ACCESS_BYTE,
		.address = le64(POWER_PORT + offset),
	};
}

static void fadt_fill(struct acpi_fadt *fadt, uint64_t dsdt)
{
	*fadt = (struct acpi_fadt){
		.iapc_boot_arch = le16(ACPI_BOOT_VGA_NOT_PRESENT |
				       ACPI_BOOT_CMOS_RTC_NOT_PRESENT),
		.flags = le32(ACPI_FADT_WBINVD | ACPI_FADT_PROC_C1 |
			      ACPI_FADT_PWR_BUTTON | ACPI_FADT_SLP_BUTTON |
			      ACPI_FADT_RESET_REG_SUP | ACPI_FADT_HEADLESS |
			      ACPI_FADT_HW_REDUCED_ACPI),
		.reset_register = power_register(POWER_RESET),
		.reset_value = POWER_RESET_VALUE,
		.minor_revision = 5,
		.x_dsdt = le64(dsdt),
		.sleep_control = power_register(POWER_SLEEP_CONTROL),
		.sleep_status = power_register(POWER_SLEEP_STATUS),
	};
	memcpy(fadt->hypervisor_id, OEM_TABLE_ID, sizeof(fadt->hypervisor_id));
	table_start(&fadt->header, "FACP", 6);
	table_finish(&fadt->header, sizeof(*fadt));
}

/* There are no 8259s and no interrupt source overrides: every GSI is the I/O
 * APIC's pin of that number, and each device says how its interrupt triggers. */
static uint64_t madt_build(struct acpi_area *area,
			   const struct acpi_config *config)
{
	struct acpi_madt_io_apic *io_apic;
	struct acpi_madt_local_apic *cpu;
	size_t len = sizeof(struct acpi_madt) + sizeof(*io_apic) +
		     config->cpu_count * sizeof(*cpu);
	uint64_t gpa;
	struct acpi_madt *madt = area_take(area, len, &gpa);

	table_start(&madt->header, "APIC", 5);
	madt->local_apic_address = le32(X86_64_LOCAL_APIC);
	madt->flags = le32(0);
	cpu = (struct acpi_madt_local_apic *)(madt + 1);
	for (unsigned i = 0; i < config->cpu_count; i++) {
		*cpu++ = (struct acpi_madt_local_apic){
			.type = 0,
			.length = sizeof(*cpu),
			.processor_uid = (uint8_t)i,
			.apic_id = (uint8_t)i,
			.flags = le32(1),
		};
	}
	/* Its id is 0, as in the register of KVM's I/O APIC. A local APIC may
	 * have the same id. */
	io_apic = (struct acpi_madt_io_apic *)cpu;
	*io_apic = (struct acpi_madt_io_apic){
		.type = 1,
		.length = sizeof(*io_apic),
		.address = le32(X86_64_IO_APIC),
	};
	table_finish(&madt->header, len);
	return gpa;
}

/* Comes last, because the DSDT may take all that is left of the area. */
static int dsdt_build(struct acpi_area *area, const struct acpi_config *config,
		      uint64_t *gpa, struct error *err)
{
	struct acpi_header *header = area_take(area, sizeof(*header), gpa);
	uint8_t *body = (uint8_t *)(header + 1);
	size_t room = area->size - (size_t)(body - area->host);
	struct aml aml;

	/* Revision 2: integers of 64 bits */
	table_start(header, "DSDT", 2);
	aml_init(&aml, body, room);
	acpi_dsdt_write(&aml, config);
	if (aml.overflow)
		return error_usage(err,
				   "ACPI: the DSDT does not fit into %zu bytes",
				   room);
	table_finish(header, sizeof(*header) + aml.len);
	return 0;
}

int acpi_build(const struct guest_mem *mem, const struct acpi_config *config,
	       uint64_t *rsdp_gpa, struct error *err)
{
	struct acpi_area area = { .size = X86_64_ACPI_END - X86_64_ACPI };
	uint64_t xsdt_gpa, dsdt_gpa, fadt_gpa, madt_gpa;
	struct acpi_rsdp *rsdp;
	struct acpi_xsdt *xsdt;
	struct acpi_fadt *fadt;

	if (config_check(config, err) < 0)
		return -1;
	area.host = guest_range(mem, X86_64_ACPI, area.size);
	if (!area.host)
		return error_image(err,
				   "no guest memory at %#x for ACPI tables",
				   X86_64_ACPI);

	rsdp = area_take(&area, sizeof(*rsdp), rsdp_gpa);
	xsdt = area_take(&area, sizeof(*xsdt), &xsdt_gpa);
	fadt = area_take(&area, sizeof(*fadt), &fadt_gpa);
	madt_gpa = madt_build(&area, config);
	if (dsdt_build(&area, config, &dsdt_gpa, err) < 0)
		return -1;
	fadt_fill(fadt, dsdt_gpa);

	table_start(&xsdt->header, "XSDT", 1);
	xsdt->fadt = le64(fadt_gpa);
	xsdt->madt = le64(madt_gpa);
	table_finish(&xsdt->header, sizeof(*xsdt));

	*rsdp = (struct acpi_rsdp){
		.revision = 2,
		.length = le32(sizeof(*rsdp)),
		.xsdt = le64(xsdt_gpa),
	};
	memcpy(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature));
	memcpy(rsdp->oem_id, OEM_ID, sizeof(rsdp->oem_id));
	rsdp->checksum = table_checksum(rsdp, ACPI_RSDP_V1_SIZE);
	rsdp->extended_checksum = table_checksum(rsdp, sizeof(*rsdp));
	return 0;
}
