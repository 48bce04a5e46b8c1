/* Writes ACPI Machine Language, the bytecode of a DSDT, into a bounded buffer.
 *
 * ACPI 6.5, chapter 20 (encoding) and section 6.4 (resource descriptors). The
 * calls read like the ASL they stand for:
 *
 *	aml_device(&aml, "COM1");
 *	aml_name_eisa_id(&aml, "_HID", "PNP0501");
 *	aml_end(&aml);
 *
 * Calls that open a package (scope, device, method, if, package, resources)
 * are followed by aml_end(), which fills in the length of the package. A
 * buffer that is too small only sets `overflow`, to be checked once at the
 * end. Names are paths as in ASL ("\\_SB", "PWRB", "\\_SB.GED_"). Names,
 * strings and nesting come from our own code and are asserted. One thread at a
 * time. The writer owns nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AML_DEPTH_MAX 8

struct aml {
	uint8_t *buf;
	size_t size; /* bytes of buf */
	size_t len;  /* bytes written, at most size */
	bool overflow;
	unsigned depth; /* packages open now */
	struct {
		size_t start;	/* of the PkgLength */
		bool resources; /* a buffer with an end tag */
	} open[AML_DEPTH_MAX];
};

void aml_init(struct aml *aml, void *buf, size_t size);
void aml_end(struct aml *aml);

/* Terms that contain others, 20.2.5. */
void aml_scope(struct aml *aml, const char *path);
void aml_device(struct aml *aml, const char *name);
void aml_method(struct aml *aml, const char *name, unsigned args);
void aml_if(struct aml *aml); /* the predicate follows, then the body */
void aml_package(struct aml *aml, uint8_t elements);

/* Data, 20.2.3. */
void aml_integer(struct aml *aml, uint64_t value);

/* Name(name, value); aml_name() alone is followed by the value. */
void aml_name(struct aml *aml, const char *name);
void aml_name_integer(struct aml *aml, const char *name, uint64_t value);
void aml_name_string(struct aml *aml, const char *name, const char *text);
/* id: three capitals and four hexadecimal digits, "PNP0501" */
void aml_name_eisa_id(struct aml *aml, const char *name, const char *id);

/* A ResourceTemplate() buffer and the resources that it may hold, 6.4. */
void aml_resources(struct aml *aml);
void aml_memory32_fixed(struct aml *aml, uint32_t base, uint32_t size);
void aml_io_port(struct aml *aml, uint16_t port, uint8_t count);
/* edge-triggered, active high, exclusive */
void aml_interrupt(struct aml *aml, uint32_t gsi);

/* OperationRegion(name, SystemIO, port, size), and one 8-bit field at its
 * start: Field(region, ByteAcc, NoLock, WriteAsZeros) { field, 8 }. */
void aml_io_region(struct aml *aml, const char *name, uint16_t port,
		   uint8_t size);
void aml_byte_field(struct aml *aml, const char *region, const char *field);

/* Statements and expressions, 20.2.5. */
void aml_and(struct aml *aml, const char *path, uint64_t mask);
void aml_notify(struct aml *aml, const char *path, uint64_t value);
