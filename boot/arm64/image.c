/* Image: the plain arm64 kernel. Fields are named as in Linux' booting.rst. */
#include "boot/arm64/formats.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/le_types.h"

/* "a 2MB aligned base address" */
#define IMAGE_ALIGN (2ULL << 20)

#define FLAG_BIG_ENDIAN 1

/* An initrd must lie "within a 1 GB aligned physical memory window of up to 32
 * GB in size that fully covers the kernel Image as well". */
#define WINDOW_ALIGN (1ULL << 30)
#define WINDOW_SIZE (32ULL << 30)

struct image_header {
	le32_t code[2];
	le64_t text_offset;
	le64_t image_size;
	le64_t flags;
	le64_t reserved[3];
	uint8_t magic[4];
	le32_t pe_offset;
};

static_assert(sizeof(struct image_header) == IMAGE_HEADER_SIZE, "booting.rst");
static_assert(offsetof(struct image_header, magic) == 56, "booting.rst");

/* Microsoft PE/COFF specification, 3.1, 3.3 and 4 */
struct pe_header {
	uint8_t magic[4];
	le16_t machine;
	le16_t section_count;
	uint8_t symbols[12];
	le16_t optional_size; /* bytes between this header and the sections */
	le16_t characteristics;
};

struct pe_section {
	uint8_t name[8];
	le32_t size;
	le32_t address;
	le32_t raw_size; /* in the file, from raw_offset */
	le32_t raw_offset;
	uint8_t rest[16];
};

static_assert(sizeof(struct pe_header) == 24, "PE/COFF 3.3");
static_assert(sizeof(struct pe_section) == 40, "PE/COFF 4");

/* Linux' Images have two. */
#define PE_SECTIONS_MAX 16

static const uint8_t magic[4] = { 'A', 'R', 'M', 0x64 };

bool image_probe(const uint8_t *head, size_t len)
{
	size_t at = offsetof(struct image_header, magic);

	return len >= at + sizeof(magic) &&
	       memcmp(head + at, magic, sizeof(magic)) == 0;
}

static int image_check_header(const struct image_header *h, struct error *err)
{
	if (memcmp(h->magic, magic, sizeof(magic)) != 0)
		return error_image(err,
				   "the unpacked data is not an arm64 Image");
	if (le64_get(h->image_size) == 0)
		return error_image(err,
				   "Image too old: no image_size; wanted: "
				   "Linux 3.17 or later");
	if (le64_get(h->flags) & FLAG_BIG_ENDIAN)
		return error_image(err, "Image of a big-endian kernel");
	if (le64_get(h->text_offset) >= IMAGE_ALIGN ||
	    le64_get(h->text_offset) % 4096)
		return error_image(err,
				   "Image with text_offset %#" PRIx64
				   "; wanted: whole pages, less than 2 MiB",
				   le64_get(h->text_offset));
	return 0;
}

int image_place(const uint8_t header[static IMAGE_HEADER_SIZE],
		const struct guest_mem *mem, struct kernel_image *out,
		struct error *err)
{
	struct image_header h;
	uint64_t base, size;

	memcpy(&h, header, sizeof(h));
	if (image_check_header(&h, err) < 0)
		return -1;
	/* As low as possible, because older kernels do not use the memory below
	 * themselves. */
	base = (mem->regions[0].gpa + (IMAGE_ALIGN - 1)) & ~(IMAGE_ALIGN - 1);
	out->start = base + le64_get(h.text_offset);
	size = le64_get(h.image_size);
	if (size < IMAGE_HEADER_SIZE || !guest_range(mem, out->start, size))
		return error_image(err,
				   "Image needs %" PRIu64 " KiB at %#" PRIx64
				   " and does not fit into %" PRIu64
				   " MiB of guest memory",
				   size >> 10, out->start,
				   guest_mem_size(mem) >> 20);
	out->entry = out->start;
	out->end = out->start + size;
	out->initrd_max =
		(out->start & ~(WINDOW_ALIGN - 1)) + (WINDOW_SIZE - 1);
	out->cmdline_max = KERNEL_CMDLINE_MAX;
	return 0;
}

/* Finds out whether the file is truncated, because the first part of a kernel
 * would start and then say nothing. The header of an Image does not give the
 * length of the file; the header of an EFI program does, and most Images are
 * EFI programs, too. */
static int image_check_length(const struct boot_file *file, uint64_t pe_offset,
			      struct error *err)
{
	static const uint8_t pe_magic[4] = "PE";
	struct pe_section section;
	struct pe_header pe;
	uint64_t at = pe_offset + sizeof(pe), end;

	if (pe_offset == 0)
		return 0;
	if (boot_file_read(file, pe_offset, &pe, sizeof(pe), err) < 0)
		return -1;
	if (memcmp(pe.magic, pe_magic, sizeof(pe_magic)) != 0 ||
	    le16_get(pe.section_count) > PE_SECTIONS_MAX)
		return 0;
	at += le16_get(pe.optional_size);
	for (unsigned i = 0; i < le16_get(pe.section_count); i++) {
		if (boot_file_read(file, at + i * sizeof(section), &section,
				   sizeof(section), err) < 0)
			return -1;
		end = (uint64_t)le32_get(section.raw_offset) +
		      le32_get(section.raw_size);
		if (end > file->size)
			return error_image(err,
					   "truncated Image: %" PRIu64
					   " bytes of at least %" PRIu64,
					   file->size, end);
	}
	return 0;
}

int image_load(const struct boot_file *file, const struct guest_mem *mem,
	       enum kernel_protocol want, struct kernel_image *out,
	       struct error *err)
{
	struct image_header h;
	uint64_t size;

	(void)want;
	if (boot_file_read(file, 0, &h, sizeof(h), err) < 0 ||
	    image_place((const uint8_t *)&h, mem, out, err) < 0 ||
	    image_check_length(file, le32_get(h.pe_offset), err) < 0)
		return -1;
	size = out->end - out->start;
	if (file->size > size)
		return error_image(err,
				   "Image of %" PRIu64
				   " bytes; its header promises %" PRIu64,
				   file->size, size);
	return load_range(mem, out->start, file, 0, file->size, err);
}
