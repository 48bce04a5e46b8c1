/* Compressed Images. They are unpacked straight into guest memory, without the
 * EFI firmware that would run the unpacking program of a zboot image. */
#include "boot/arm64/formats.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/le_types.h"
#include "boot/arm64/unpack.h"

/* zboot-header.S */
struct zboot_header {
	uint8_t mz[4]; /* "MZ": a DOS program, for EFI */
	uint8_t type[4];
	le32_t payload_offset;
	le32_t payload_size;
	uint8_t reserved[8];
	char compression[32]; /* NUL-terminated */
};

static_assert(sizeof(struct zboot_header) == 0x38, "zboot-header.S");

bool zboot_probe(const uint8_t *head, size_t len)
{
	return len >= 8 && memcmp(head, "MZ", 2) == 0 &&
	       memcmp(head + 4, "zimg", 4) == 0;
}

bool image_gz_probe(const uint8_t *head, size_t len)
{
	return len >= 2 && head[0] == 0x1f && head[1] == 0x8b;
}

/* Unpacks an Image. Its header comes first and says where it goes. The stream
 * may be shorter than the header says, because .bss is zero anyway. */
static int unpack_image(struct unpack *u, const struct guest_mem *mem,
			struct kernel_image *out, struct error *err)
{
	uint8_t header[IMAGE_HEADER_SIZE], *host;
	uint64_t size;
	size_t got;

	if (unpack_read(u, header, sizeof(header), &got, err) < 0)
		return -1;
	if (got < sizeof(header))
		return error_image(
			err, "unpacks to %zu bytes, too few for a kernel", got);
	if (image_place(header, mem, out, err) < 0)
		return -1;
	size = out->end - out->start;
	host = load_place(mem, out->start, size);
	memcpy(host, header, sizeof(header));
	if (unpack_read(u, host + sizeof(header), size - sizeof(header), &got,
			err) < 0)
		return -1;
	/* One more read reaches the end of the stream and so its checksum. */
	if (unpack_read(u, header, 1, &got, err) < 0)
		return -1;
	if (got > 0)
		return error_image(err,
				   "unpacks to more than the %" PRIu64
				   " bytes that the Image's header promises",
				   size);
	return 0;
}

static int load_packed(const struct unpack_codec *codec,
		       const struct boot_file *file, uint64_t offset,
		       uint64_t size, const struct guest_mem *mem,
		       struct kernel_image *out, struct error *err)
{
	struct unpack *u = unpack_open(codec, file, offset, size, err);
	int rc;

	if (!u)
		return -1;
	rc = unpack_image(u, mem, out, err);
	unpack_close(u);
	return rc;
}

int image_gz_load(const struct boot_file *file, const struct guest_mem *mem,
		  enum kernel_protocol want, struct kernel_image *out,
		  struct error *err)
{
	(void)want;
	return load_packed(unpack_codec_find("gzip"), file, 0, file->size, mem,
			   out, err);
}

/* Cuts the name off at the first character that may not be printable. */
static void clean_name(char name[static 32])
{
	unsigned i = 0;

	while (i < 31 && isalnum((unsigned char)name[i]))
		i++;
	name[i] = '\0';
}

int zboot_load(const struct boot_file *file, const struct guest_mem *mem,
	       enum kernel_protocol want, struct kernel_image *out,
	       struct error *err)
{
	const struct unpack_codec *codec;
	struct zboot_header h;

	(void)want;
	if (boot_file_read(file, 0, &h, sizeof(h), err) < 0)
		return -1;
	clean_name(h.compression);
	codec = unpack_codec_find(h.compression);
	if (!codec)
		return error_image(err,
				   "EFI zboot image compressed by \"%s\"; "
				   "wanted: gzip or zstd",
				   h.compression);
	return load_packed(codec, file, le32_get(h.payload_offset),
			   le32_get(h.payload_size), mem, out, err);
}
