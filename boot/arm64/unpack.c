/* Makes zlib's next_in a pointer to const. */
#define ZLIB_CONST

#include "boot/arm64/unpack.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"

#define INPUT_SIZE (128 << 10)

/* For inflateInit2(): the largest window (15), and a gzip header (16). */
#define GZIP_WINDOW (15 + 16)

/* zlib counts bytes in 32 bits. */
#define STEP_MAX (1U << 30)

enum step_result {
	STEP_MORE, /* the codec needs more input or more room */
	STEP_END,
	STEP_BAD,
};

struct unpack_codec {
	const char *name;
	int (*open)(struct unpack *u);
	/* Unpacks as much as `in` and `out` allow, and moves them on. For
	 * STEP_BAD, *why is the reason. */
	enum step_result (*run)(struct unpack *u, const char **why);
	void (*close)(struct unpack *u);
};

struct unpack {
	const struct unpack_codec *codec;
	const struct boot_file *file;
	uint64_t offset;   /* in the file, of the next byte to read */
	uint64_t left;	   /* bytes to read from there */
	const uint8_t *in; /* read but not unpacked yet */
	size_t in_len;
	uint8_t *out; /* not filled yet */
	size_t out_len;
	bool ended;
	union {
		z_stream gzip;
		ZSTD_DStream *zstd;
	};
	uint8_t input[INPUT_SIZE];
};

static int gzip_open(struct unpack *u)
{
	return inflateInit2(&u->gzip, GZIP_WINDOW) == Z_OK ? 0 : -1;
}

static enum step_result gzip_run(struct unpack *u, const char **why)
{
	size_t room = u->out_len < STEP_MAX ? u->out_len : STEP_MAX;
	z_stream *z = &u->gzip;
	int rc;

	z->next_in = u->in;
	z->avail_in = (unsigned)u->in_len;
	z->next_out = u->out;
	z->avail_out = (unsigned)room;
	rc = inflate(z, Z_NO_FLUSH);
	u->in = z->next_in;
	u->in_len = z->avail_in;
	u->out = z->next_out;
	u->out_len -= room - z->avail_out;
	if (rc == Z_STREAM_END)
		return STEP_END;
	/* Z_BUF_ERROR: there was no input or no room, which is no fault. */
	if (rc == Z_OK || rc == Z_BUF_ERROR)
		return STEP_MORE;
	*why = z->msg ? z->msg : zError(rc);
	return STEP_BAD;
}

static void gzip_close(struct unpack *u)
{
	inflateEnd(&u->gzip);
}

static int zstd_open(struct unpack *u)
{
	u->zstd = ZSTD_createDStream();
	return u->zstd ? 0 : -1;
}

static enum step_result zstd_run(struct unpack *u, const char **why)
{
	ZSTD_inBuffer in = { u->in, u->in_len, 0 };
	ZSTD_outBuffer out = { u->out, u->out_len, 0 };
	size_t rc = ZSTD_decompressStream(u->zstd, &out, &in);

	u->in += in.pos;
	u->in_len -= in.pos;
	u->out += out.pos;
	u->out_len -= out.pos;
	if (ZSTD_isError(rc)) {
		*why = ZSTD_getErrorName(rc);
		return STEP_BAD;
	}
	return rc == 0 ? STEP_END : STEP_MORE;
}

static void zstd_close(struct unpack *u)
{
	ZSTD_freeDStream(u->zstd);
}

static const struct unpack_codec codecs[] = {
	{ "gzip", gzip_open, gzip_run, gzip_close },
	{ "zstd", zstd_open, zstd_run, zstd_close },
};

const struct unpack_codec *unpack_codec_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++)
		if (strcmp(codecs[i].name, name) == 0)
			return &codecs[i];
	return NULL;
}

struct unpack *unpack_open(const struct unpack_codec *codec,
			   const struct boot_file *file, uint64_t offset,
			   uint64_t size, struct error *err)
{
	struct unpack *u;

	if (offset > file->size || size > file->size - offset) {
		error_image(err,
			    "truncated: %" PRIu64
			    " bytes of %s data at offset %" PRIu64
			    " reach past the end of the file (%" PRIu64
			    " bytes)",
			    size, codec->name, offset, file->size);
		return NULL;
	}
	u = malloc(sizeof(*u));
	if (u) {
		memset(u, 0, offsetof(struct unpack, input));
		u->codec = codec;
		u->file = file;
		u->offset = offset;
		u->left = size;
		u->in = u->input;
		if (codec->open(u) == 0)
			return u;
	}
	free(u);
	error_io(err, "out of memory");
	return NULL;
}

static int unpack_refill(struct unpack *u, struct error *err)
{
	size_t len = u->left < INPUT_SIZE ? (size_t)u->left : INPUT_SIZE;

	if (len == 0)
		return error_image(err, "truncated %s data", u->codec->name);
	if (boot_file_read(u->file, u->offset, u->input, len, err) < 0)
		return -1;
	u->offset += len;
	u->left -= len;
	u->in = u->input;
	u->in_len = len;
	return 0;
}

int unpack_read(struct unpack *u, void *buf, size_t len, size_t *got,
		struct error *err)
{
	const char *why = NULL;

	u->out = buf;
	u->out_len = len;
	while (u->out_len > 0 && !u->ended) {
		size_t room = u->out_len;

		switch (u->codec->run(u, &why)) {
		case STEP_BAD:
			return error_image(err, "corrupt %s data: %s",
					   u->codec->name, why);
		case STEP_END:
			u->ended = true;
			break;
		case STEP_MORE:
			break;
		}
		/* A codec may have output left although its input is used up. */
		if (!u->ended && u->out_len == room && u->in_len == 0 &&
		    unpack_refill(u, err) < 0)
			return -1;
	}
	*got = len - u->out_len;
	return 0;
}

void unpack_close(struct unpack *u)
{
	if (u)
		u->codec->close(u);
	free(u);
}
