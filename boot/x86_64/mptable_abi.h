/* The MP table in memory: MultiProcessor Specification 1.4, chapter 4. */
#pragma once

#include <assert.h>

#include "base/le_types.h"

/* 4.1 Floating Pointer Structure */
struct mp_pointer {
	char signature[4]; /* "_MP_" */
	le32_t table;
	uint8_t length; /* in paragraphs of 16 bytes */
	uint8_t spec_rev;
	uint8_t checksum;
	uint8_t features[5];
};

static_assert(sizeof(struct mp_pointer) == 16, "MP 1.4, 4.1");

/* 4.2 Configuration Table Header */
struct mp_header {
	char signature[4]; /* "PCMP" */
	le16_t length;
	uint8_t spec_rev;
	uint8_t checksum;
	char oem_id[8];
	char product_id[12];
	le32_t oem_table;
	le16_t oem_table_size;
	le16_t entry_count;
	le32_t local_apic_address;
	le16_t extended_length;
	uint8_t extended_checksum;
	uint8_t reserved;
};

static_assert(sizeof(struct mp_header) == 44, "MP 1.4, 4.2");

/* 4.3 Base entries, in ascending order of type */
enum mp_entry_type {
	MP_PROCESSOR = 0,
	MP_BUS = 1,
	MP_IO_APIC = 2,
	MP_IO_INTERRUPT = 3,
	MP_LOCAL_INTERRUPT = 4,
};

struct mp_processor {
	uint8_t type;
	uint8_t apic_id;
	uint8_t apic_version;
	uint8_t flags;
	le32_t signature;
	le32_t features;
	uint8_t reserved[8];
};

static_assert(sizeof(struct mp_processor) == 20, "MP 1.4, 4.3.1");

struct mp_bus {
	uint8_t type;
	uint8_t id;
	char name[6];
};

static_assert(sizeof(struct mp_bus) == 8, "MP 1.4, 4.3.2");

struct mp_io_apic {
	uint8_t type;
	uint8_t id;
	uint8_t version;
	uint8_t flags;
	le32_t address;
};

static_assert(sizeof(struct mp_io_apic) == 8, "MP 1.4, 4.3.3");

/* 4.3.4 for I/O and 4.3.5 for local interrupts */
struct mp_interrupt {
	uint8_t type;
	uint8_t kind;
	le16_t flags; /* 0: polarity and trigger as the bus has them */
	uint8_t source_bus;
	uint8_t source_irq;
	uint8_t apic_id;
	uint8_t apic_pin;
};

static_assert(sizeof(struct mp_interrupt) == 8, "MP 1.4, 4.3.4");

enum mp_interrupt_kind {
	MP_INT = 0,
	MP_NMI = 1,
	MP_EXTINT = 3,
};
