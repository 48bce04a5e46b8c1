/* ACPI 6.5 tables in memory, section 5.2. The structs have no padding, because
 * the little-endian types have an alignment of 1. */
#pragma once

#include <assert.h>
#include <stddef.h>

#include "base/le_types.h"

/* 5.2.5.3 Root System Description Pointer */
struct acpi_rsdp {
	char signature[8]; /* "RSD PTR " */
	uint8_t checksum;  /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	le32_t rsdt;
	le32_t length;
	le64_t xsdt;
	uint8_t extended_checksum; /* of the whole struct */
	uint8_t reserved[3];
};

#define ACPI_RSDP_V1_SIZE 20
static_assert(sizeof(struct acpi_rsdp) == 36, "ACPI 6.5, 5.2.5.3");
static_assert(offsetof(struct acpi_rsdp, length) == ACPI_RSDP_V1_SIZE,
	      "ACPI 6.5, 5.2.5.3");

/* 5.2.6 System Description Table Header */
struct acpi_header {
	char signature[4];
	le32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	le32_t oem_revision;
	char creator_id[4];
	le32_t creator_revision;
};

static_assert(sizeof(struct acpi_header) == 36, "ACPI 6.5, 5.2.6");

/* 5.2.8 Extended System Description Table */
struct acpi_xsdt {
	struct acpi_header header;
	le64_t fadt;
	le64_t madt;
};

static_assert(sizeof(struct acpi_xsdt) == 36 + 2 * 8, "ACPI 6.5, 5.2.8");

/* 5.2.3.2 Generic Address Structure */
struct acpi_address {
	uint8_t space;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_size;
	le64_t address;
};

static_assert(sizeof(struct acpi_address) == 12, "ACPI 6.5, 5.2.3.2");

enum {
	ACPI_SPACE_IO = 1,
	ACPI_ACCESS_BYTE = 1,
};

/* 5.2.9 Fixed ACPI Description Table. The fields that a hardware-reduced system
 * must leave zero have no names of their own. */
struct acpi_fadt {
	struct acpi_header header;
	le32_t firmware_ctrl;
	le32_t dsdt;
	uint8_t int_model;
	uint8_t preferred_profile;
	uint8_t hardware_046[63];
	le16_t iapc_boot_arch;
	uint8_t reserved;
	le32_t flags;
	struct acpi_address reset_register;
	uint8_t reset_value;
	le16_t arm_boot_arch;
	uint8_t minor_revision;
	le64_t x_firmware_ctrl;
	le64_t x_dsdt;
	struct acpi_address hardware_148[8];
	struct acpi_address sleep_control;
	struct acpi_address sleep_status;
	char hypervisor_id[8];
};

static_assert(offsetof(struct acpi_fadt, iapc_boot_arch) == 109,
	      "ACPI 6.5, 5.2.9");
static_assert(offsetof(struct acpi_fadt, reset_register) == 116,
	      "ACPI 6.5, 5.2.9");
static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140, "ACPI 6.5, 5.2.9");
static_assert(offsetof(struct acpi_fadt, sleep_control) == 244,
	      "ACPI 6.5, 5.2.9");
static_assert(sizeof(struct acpi_fadt) == 276, "ACPI 6.5, 5.2.9");

enum acpi_fadt_flag {
	ACPI_FADT_WBINVD = 1 << 0,
	ACPI_FADT_PROC_C1 = 1 << 2,
	/* these two: buttons are devices, not fixed hardware */
	ACPI_FADT_PWR_BUTTON = 1 << 4,
	ACPI_FADT_SLP_BUTTON = 1 << 5,
	ACPI_FADT_RESET_REG_SUP = 1 << 10,
	ACPI_FADT_HEADLESS = 1 << 12,
	ACPI_FADT_HW_REDUCED_ACPI = 1 << 20,
};

/* 5.2.9.3 IA-PC Boot Architecture Flags. LEGACY_DEVICES and 8042 are not set,
 * so that no guest looks for a keyboard controller. */
enum acpi_boot_arch_flag {
	ACPI_BOOT_VGA_NOT_PRESENT = 1 << 2,
	ACPI_BOOT_CMOS_RTC_NOT_PRESENT = 1 << 5,
};

/* 5.2.12 Multiple APIC Description Table. Its entries follow it. */
struct acpi_madt {
	struct acpi_header header;
	le32_t local_apic_address;
	le32_t flags; /* bit 0: there is a dual 8259 to switch off */
};

static_assert(sizeof(struct acpi_madt) == 44, "ACPI 6.5, 5.2.12");

/* 5.2.12.2 Processor Local APIC */
struct acpi_madt_local_apic {
	uint8_t type; /* 0 */
	uint8_t length;
	uint8_t processor_uid;
	uint8_t apic_id;
	le32_t flags; /* bit 0: enabled */
};

static_assert(sizeof(struct acpi_madt_local_apic) == 8, "ACPI 6.5, 5.2.12.2");

/* 5.2.12.3 I/O APIC */
struct acpi_madt_io_apic {
	uint8_t type; /* 1 */
	uint8_t length;
	uint8_t io_apic_id;
	uint8_t reserved;
	le32_t address;
	le32_t gsi_base;
};

static_assert(sizeof(struct acpi_madt_io_apic) == 12, "ACPI 6.5, 5.2.12.3");
