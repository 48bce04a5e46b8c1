#include "boot/x86_64/aml.h"

#include <assert.h>
#include <string.h>

/* ACPI 6.5, 20.3: AML byte encodings. */
enum aml_op {
	AML_ZERO = 0x00,
	AML_ONE = 0x01,
	AML_NAME = 0x08,
	AML_BYTE = 0x0a,
	AML_WORD = 0x0b,
	AML_DWORD = 0x0c,
	AML_STRING = 0x0d,
	AML_QWORD = 0x0e,
	AML_SCOPE = 0x10,
	AML_BUFFER = 0x11,
	AML_PACKAGE = 0x12,
	AML_METHOD = 0x14,
	AML_DUAL_NAME = 0x2e,
	AML_MULTI_NAME = 0x2f,
	AML_AND = 0x7b,
	AML_NOTIFY = 0x86,
	AML_IF = 0xa0,
	AML_REGION = 0x805b, /* two bytes: ExtOpPrefix comes first */
	AML_FIELD = 0x815b,
	AML_DEVICE = 0x825b,
};

void aml_init(struct aml *aml, void *buf, size_t size)
{
	*aml = (struct aml){ .buf = buf, .size = size };
}

/* Makes room for n bytes at offset `at` and fills them in. */
static void insert_bytes(struct aml *aml, size_t at, const void *bytes,
			 size_t n)
{
	if (aml->overflow || n > aml->size - aml->len) {
		aml->overflow = true;
		return;
	}
	memmove(aml->buf + at + n, aml->buf + at, aml->len - at);
	memcpy(aml->buf + at, bytes, n);
	aml->len += n;
}

static void put_bytes(struct aml *aml, const void *bytes, size_t n)
{
	insert_bytes(aml, aml->len, bytes, n);
}

static void put_byte(struct aml *aml, unsigned value)
{
	uint8_t byte = (uint8_t)value;

	put_bytes(aml, &byte, 1);
}

static void put_le(struct aml *aml, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		put_byte(aml, (unsigned)(value >> (8 * i)) & 0xff);
}

/* ComputationalData, 20.2.3, in the shortest form. Returns the bytes of out. */
static unsigned encode_integer(uint64_t value, uint8_t out[9])
{
	static const struct {
		uint64_t max;
		uint8_t op, bytes; /* bytes that follow the op */
	} forms[] = {
		{ 0, AML_ZERO, 0 },	      { 1, AML_ONE, 0 },
		{ UINT8_MAX, AML_BYTE, 1 },   { UINT16_MAX, AML_WORD, 2 },
		{ UINT32_MAX, AML_DWORD, 4 }, { UINT64_MAX, AML_QWORD, 8 },
	};
	unsigned form = 0;

	while (value > forms[form].max)
		form++;
	out[0] = forms[form].op;
	for (unsigned i = 0; i < forms[form].bytes; i++)
		out[1 + i] = (uint8_t)(value >> (8 * i));
	return 1U + forms[form].bytes;
}

/* PkgLength, 20.2.4, which includes its own bytes. Returns the bytes of out. */
static unsigned encode_pkg_length(size_t content, uint8_t out[4])
{
	unsigned more = 0; /* bytes that follow the first */
	size_t len;

	while (more < 3 &&
	       content + 1 + more >= (more ? 1U << (4 + 8 * more) : 1U << 6))
		more++;
	len = content + 1 + more;
	assert(len < 1U << 28);
	out[0] = (uint8_t)(more ? more << 6 | (len & 0xf) : len);
	for (unsigned i = 0; i < more; i++)
		out[1 + i] = (uint8_t)(len >> (4 + 8 * i));
	return 1 + more;
}

static void open_package(struct aml *aml, bool resources)
{
	assert(aml->depth < AML_DEPTH_MAX);
	aml->open[aml->depth].start = aml->len;
	aml->open[aml->depth].resources = resources;
	aml->depth++;
}

void aml_end(struct aml *aml)
{
	uint8_t encoded[9];
	unsigned n;
	size_t start;

	assert(aml->depth > 0);
	aml->depth--;
	start = aml->open[aml->depth].start;
	if (aml->open[aml->depth].resources) {
		/* End Tag, 6.4.2.9; a checksum of 0 counts as correct */
		put_le(aml, 0x79, 2);
		/* the BufferSize of a DefBuffer */
		n = encode_integer(aml->len - start, encoded);
		insert_bytes(aml, start, encoded, n);
	}
	n = encode_pkg_length(aml->len - start, encoded);
	insert_bytes(aml, start, encoded, n);
}

/* NameSeg, 20.2.2: four characters, padded with underscores. */
static size_t put_segment(struct aml *aml, const char *text)
{
	char segment[4] = { '_', '_', '_', '_' };
	size_t len = strcspn(text, ".");

	assert(len >= 1 && len <= sizeof(segment));
	memcpy(segment, text, len);
	put_bytes(aml, segment, sizeof(segment));
	return len;
}

static void put_path(struct aml *aml, const char *path)
{
	unsigned segments = 1;

	if (*path == '\\') {
		put_byte(aml, '\\');
		path++;
	}
	for (const char *p = path; *p; p++)
		segments += *p == '.';
	if (segments == 2) {
		put_byte(aml, AML_DUAL_NAME);
	} else if (segments > 2) {
		put_byte(aml, AML_MULTI_NAME);
		put_byte(aml, segments);
	}
	while (segments-- > 0)
		path += put_segment(aml, path) + 1;
}

void aml_scope(struct aml *aml, const char *path)
{
	put_byte(aml, AML_SCOPE);
	open_package(aml, false);
	put_path(aml, path);
}

void aml_device(struct aml *aml, const char *name)
{
	put_le(aml, AML_DEVICE, 2);
	open_package(aml, false);
	put_path(aml, name);
}

void aml_method(struct aml *aml, const char *name, unsigned args)
{
	const unsigned serialized = 1 << 3;

	assert(args <= 7);
	put_byte(aml, AML_METHOD);
	open_package(aml, false);
	put_path(aml, name);
	put_byte(aml, args | serialized);
}

void aml_if(struct aml *aml)
{
	put_byte(aml, AML_IF);
	open_package(aml, false);
}

void aml_package(struct aml *aml, uint8_t elements)
{
	put_byte(aml, AML_PACKAGE);
	open_package(aml, false);
	put_byte(aml, elements);
}

void aml_integer(struct aml *aml, uint64_t value)
{
	uint8_t encoded[9];
	unsigned n = encode_integer(value, encoded);

	put_bytes(aml, encoded, n);
}

void aml_name(struct aml *aml, const char *name)
{
	put_byte(aml, AML_NAME);
	put_path(aml, name);
}

void aml_name_integer(struct aml *aml, const char *name, uint64_t value)
{
	aml_name(aml, name);
	aml_integer(aml, value);
}

void aml_name_string(struct aml *aml, const char *name, const char *text)
{
	aml_name(aml, name);
	put_byte(aml, AML_STRING);
	put_bytes(aml, text, strlen(text) + 1);
}

static unsigned hex_digit(char c)
{
	assert((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'));
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'A' + 10);
}

/* EISAID(), 19.3.4: three letters of five bits, four digits, big-endian. */
void aml_name_eisa_id(struct aml *aml, const char *name, const char *id)
{
	unsigned letters = 0, digits = 0;

	assert(strlen(id) == 7);
	for (int i = 0; i < 3; i++) {
		assert(id[i] >= 'A' && id[i] <= 'Z');
		letters = letters << 5 | (unsigned)(id[i] - '@');
	}
	for (int i = 3; i < 7; i++)
		digits = digits << 4 | hex_digit(id[i]);

	aml_name(aml, name);
	put_byte(aml, AML_DWORD);
	put_byte(aml, letters >> 8);
	put_byte(aml, letters & 0xff);
	put_byte(aml, digits >> 8);
	put_byte(aml, digits & 0xff);
}

void aml_resources(struct aml *aml)
{
	put_byte(aml, AML_BUFFER);
	open_package(aml, true);
}

/* 32-Bit Fixed Memory Range Descriptor, 6.4.3.4 */
void aml_memory32_fixed(struct aml *aml, uint32_t base, uint32_t size)
{
	put_byte(aml, 0x86);
	put_le(aml, 9, 2);
	put_byte(aml, 1); /* read and write */
	put_le(aml, base, 4);
	put_le(aml, size, 4);
}

/* I/O Port Descriptor, 6.4.2.5 */
void aml_io_port(struct aml *aml, uint16_t port, uint8_t count)
{
	put_byte(aml, 0x47);
	put_byte(aml, 1); /* decodes 16 bits */
	put_le(aml, port, 2);
	put_le(aml, port, 2);
	put_byte(aml, 1); /* alignment */
	put_byte(aml, count);
}

/* Extended Interrupt Descriptor, 6.4.3.6 */
void aml_interrupt(struct aml *aml, uint32_t gsi)
{
	const unsigned consumer = 1 << 0, edge = 1 << 1;

	put_byte(aml, 0x89);
	put_le(aml, 6, 2);
	put_byte(aml, consumer | edge);
	put_byte(aml, 1); /* one interrupt */
	put_le(aml, gsi, 4);
}

void aml_io_region(struct aml *aml, const char *name, uint16_t port,
		   uint8_t size)
{
	const unsigned system_io = 1;

	put_le(aml, AML_REGION, 2);
	put_path(aml, name);
	put_byte(aml, system_io);
	aml_integer(aml, port);
	aml_integer(aml, size);
}

void aml_byte_field(struct aml *aml, const char *region, const char *field)
{
	const unsigned byte_access = 1, write_as_zeros = 2 << 5;

	put_le(aml, AML_FIELD, 2);
	open_package(aml, false);
	put_path(aml, region);
	put_byte(aml, byte_access | write_as_zeros);
	put_path(aml, field);
	put_byte(aml, 8); /* bits, as a PkgLength */
	aml_end(aml);
}

void aml_and(struct aml *aml, const char *path, uint64_t mask)
{
	const unsigned null_name = 0; /* the result is not stored as well */

	put_byte(aml, AML_AND);
	put_path(aml, path);
	aml_integer(aml, mask);
	put_byte(aml, null_name);
}

void aml_notify(struct aml *aml, const char *path, uint64_t value)
{
	put_byte(aml, AML_NOTIFY);
	put_path(aml, path);
	aml_integer(aml, value);
}
