/* boot/arm64/zboot and unpack: compressed Images unpack to what was packed,
 * and no stream, however made, writes where it should not. */
#include "tests/unit/boot/arm64/image_fixture.h"

#include <zlib.h>
#include <zstd.h>

#define PAYLOAD 0x1000

struct zboot {
	uint8_t mz[4];
	uint8_t type[4];
	le32_t payload_offset;
	le32_t payload_size;
	uint8_t reserved[8];
	char compression[32];
	uint8_t pe[PAYLOAD - 56];
	uint8_t payload[];
};

static size_t pack_gzip(const void *data, size_t len, void *to, size_t room)
{
	z_stream z = { 0 };

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8,
				      Z_DEFAULT_STRATEGY),
			 Z_OK);
	z.next_in = (void *)(uintptr_t)data;
	z.avail_in = (unsigned)len;
	z.next_out = to;
	z.avail_out = (unsigned)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return room - z.avail_out;
}

static size_t pack_zstd(const void *data, size_t len, void *to, size_t room)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t packed;

	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	packed = ZSTD_compress2(c, to, room, data, len);
	assert_false(ZSTD_isError(packed));
	ZSTD_freeCCtx(c);
	return packed;
}

static const struct {
	const char *name;
	size_t (*pack)(const void *data, size_t len, void *to, size_t room);
} codecs[] = {
	{ "gzip", pack_gzip },
	{ "zstd", pack_zstd },
};

/* len is of the whole file, which ends with the payload. */
static struct zboot *zboot_make(unsigned codec, const void *data, size_t size,
				size_t *len)
{
	size_t room = size + size / 8 + 1024;
	struct zboot *z = calloc(1, sizeof(*z) + room);
	size_t packed;

	assert_non_null(z);
	packed = codecs[codec].pack(data, size, z->payload, room);
	memcpy(z->mz, "MZ", 2);
	memcpy(z->type, "zimg", 4);
	z->payload_offset = le32(PAYLOAD);
	z->payload_size = le32((uint32_t)packed);
	strcpy(z->compression, codecs[codec].name);
	*len = sizeof(*z) + packed;
	return z;
}

static void both_compressions_unpack_in_place(void **state)
{
	struct image *image = image_make();

	(void)state;
	image->text_offset = le64(0x80000);
	for (unsigned i = 0; i < ARRAY_SIZE(codecs); i++) {
		size_t len;
		struct zboot *z = zboot_make(i, image, sizeof(*image), &len);

		check_image_loaded(z, len, image);
		free(z);
	}
	free(image);
}

/* Linux pads what it packs up to image_size. */
static void a_payload_may_hold_the_bss(void **state)
{
	struct image *image = image_make();
	uint8_t *padded = calloc(1, IMAGE_SIZE + 1);

	(void)state;
	memcpy(padded, image, sizeof(*image));
	for (unsigned i = 0; i < ARRAY_SIZE(codecs); i++) {
		size_t len;
		struct zboot *z = zboot_make(i, padded, IMAGE_SIZE, &len);

		check_image_loaded(z, len, image);
		free(z);
		z = zboot_make(i, padded, IMAGE_SIZE + 1, &len);
		check_image_refused(z, len, "header promises");
		free(z);
	}
	free(padded);
	free(image);
}

static void what_follows_the_payload_does_not_matter(void **state)
{
	struct image *image = image_make();

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(codecs); i++) {
		size_t len;
		struct zboot *z = zboot_make(i, image, sizeof(*image), &len);

		memset((uint8_t *)z + len, 0xee, 100);
		check_image_loaded(z, len + 100, image);
		z->payload_size = le32(le32_get(z->payload_size) + 100);
		check_image_loaded(z, len + 100, image);
		free(z);
	}
	free(image);
}

static void an_image_gz_unpacks_too(void **state)
{
	struct image *image = image_make();
	uint8_t *packed = malloc(2 * sizeof(*image));
	size_t len =
		pack_gzip(image, sizeof(*image), packed, 2 * sizeof(*image));

	(void)state;
	check_image_loaded(packed, len, image);
	check_image_refused(packed, len - 1, "truncated gzip");
	free(packed);
	free(image);
}

static void other_compressions_are_refused_by_name(void **state)
{
	struct image *image = image_make();
	size_t len;
	struct zboot *z = zboot_make(0, image, sizeof(*image), &len);

	(void)state;
	strcpy(z->compression, "lzma");
	check_image_refused(z, len, "by \"lzma\"");
	strcpy(z->compression, "gzipped");
	check_image_refused(z, len, "by \"gzipped\"");
	strcpy(z->compression, "a\nb");
	check_image_refused(z, len, "by \"a\"");
	memset(z->compression, 'x', sizeof(z->compression));
	check_image_refused(z, len, "by \"xxx");
	memset(z->compression, 0, sizeof(z->compression));
	check_image_refused(z, len, "by \"\"");
	free(z);
	free(image);
}

static void payloads_outside_the_file_are_refused(void **state)
{
	static const uint32_t bad[][2] = {
		{ PAYLOAD, 0xffffffff },
		{ 0xffffffff, 1 },
		{ 0xffffffff, 0xffffffff },
		{ 0x80000000, 0x80000000 },
	};
	struct image *image = image_make();
	size_t len;
	struct zboot *z = zboot_make(0, image, sizeof(*image), &len);

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		z->payload_offset = le32(bad[i][0]);
		z->payload_size = le32(bad[i][1]);
		check_image_refused(z, len, "truncated");
	}
	z->payload_offset = le32(PAYLOAD);
	z->payload_size = le32(0);
	check_image_refused(z, len, "truncated gzip");
	free(z);
	free(image);
}

static void truncated_files_are_refused_at_every_length(void **state)
{
	struct image *image = image_make();

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(codecs); i++) {
		size_t len;
		struct zboot *z = zboot_make(i, image, sizeof(*image), &len);
		size_t packed = le32_get(z->payload_size);

		for (size_t at = 8; at < len; at += at < 100 ? 7 : 997)
			check_image_refused(z, at, "truncated");
		/* and when the header owns up to it */
		for (size_t less = 1; less < packed;
		     less += less < 20 ? 1 : 991) {
			z->payload_size = le32((uint32_t)(packed - less));
			check_image_refused(z, len, "truncated");
		}
		free(z);
	}
	free(image);
}

static void corrupt_streams_are_refused(void **state)
{
	struct image *image = image_make();

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(codecs); i++) {
		size_t len;
		struct zboot *z = zboot_make(i, image, sizeof(*image), &len);
		size_t packed = le32_get(z->payload_size);

		z->payload[0] ^= 0xff;
		check_image_refused(z, len, "corrupt");
		z->payload[0] ^= 0xff;
		/* a bit in the middle: the checksum tells, if nothing else */
		z->payload[packed / 2] ^= 0x10;
		check_image_refused(z, len, codecs[i].name);
		z->payload[packed / 2] ^= 0x10;
		/* gzip's CRC lies before the size, zstd's is the last word */
		z->payload[packed - (i == 0 ? 8 : 4)] ^= 1;
		check_image_refused(z, len, "corrupt");
		free(z);
	}
	free(image);
}

static void what_unpacks_to_no_kernel_is_refused(void **state)
{
	uint8_t zeros[64] = { 0 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(codecs); i++) {
		size_t len;
		struct zboot *z = zboot_make(i, zeros, sizeof(zeros), &len);

		check_image_refused(z, len, "not an arm64 Image");
		free(z);
		z = zboot_make(i, zeros, sizeof(zeros) - 1, &len);
		check_image_refused(z, len, "unpacks to 63 bytes");
		free(z);
		z = zboot_make(i, zeros, 0, &len);
		check_image_refused(z, len, "unpacks to 0 bytes");
		free(z);
	}
}

/* Many times the size of memory, and of what the header admits. */
static void bombs_stop_where_the_header_says(void **state)
{
	size_t size = 4 * RAM_SIZE;
	struct image *bomb = calloc(1, size);
	struct image *image = image_make();

	(void)state;
	memcpy(bomb, image, sizeof(*image));
	for (unsigned i = 0; i < ARRAY_SIZE(codecs); i++) {
		size_t len;
		struct zboot *z;

		bomb->image_size = le64(RAM_SIZE);
		z = zboot_make(i, bomb, size, &len);
		check_image_refused(z, len, "header promises");
		free(z);
		bomb->image_size = le64(size);
		z = zboot_make(i, bomb, size, &len);
		check_image_refused(z, len, "does not fit");
		free(z);
	}
	free(bomb);
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_compressions_unpack_in_place),
		cmocka_unit_test(a_payload_may_hold_the_bss),
		cmocka_unit_test(what_follows_the_payload_does_not_matter),
		cmocka_unit_test(an_image_gz_unpacks_too),
		cmocka_unit_test(other_compressions_are_refused_by_name),
		cmocka_unit_test(payloads_outside_the_file_are_refused),
		cmocka_unit_test(truncated_files_are_refused_at_every_length),
		cmocka_unit_test(corrupt_streams_are_refused),
		cmocka_unit_test(what_unpacks_to_no_kernel_is_refused),
		cmocka_unit_test(bombs_stop_where_the_header_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
