/* zlib's next_in points to const then */
#define ZLIB_CONST

#include "boot/arm64/unpack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"

#define INPUT_SIZE (128 << 10)

/* inflateInit2(): the largest window, in a gzip wrapper. */
#define GZIP_WINDOW (15 + 16)

/* zlib counts in 32 bits. */
#define STEP_MAX (1U << 30)

/* Bytes that were read and not taken yet, room that is not filled yet. */
struct step {
	const uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len;
};

enum step_result {
	STEP_MORE, /* wants more input, or more room */
	STEP_END,
	STEP_BAD,
};

struct unpack_codec {
	const char *name;
	int (*open)(struct unpack *u);
	/* Goes as far as step allows and moves its pointers on. *why says
	 * what is bad. */
	enum step_result (*run)(struct unpack *u, struct step *step,
				const char **why);
	void (*close)(struct unpack *u);
};

struct unpack {
	const struct unpack_codec *codec;
	const struct boot_file *file;
	uint64_t offset; /* of the file: not read yet... */
	uint64_t left;	 /* ...and how much of that */
	const uint8_t *in;
	size_t in_len;
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

static enum step_result gzip_run(struct unpack *u, struct step *step,
				 const char **why)
{
	size_t room = step->out_len < STEP_MAX ? step->out_len : STEP_MAX;
	z_stream *z = &u->gzip;
	int rc;

	z->next_in = step->in;
	z->avail_in = (unsigned)step->in_len;
	z->next_out = step->out;
	z->avail_out = (unsigned)room;
	rc = inflate(z, Z_NO_FLUSH);
	step->in = z->next_in;
	step->in_len = z->avail_in;
	step->out = z->next_out;
	step->out_len -= room - z->avail_out;
	if (rc == Z_STREAM_END)
		return STEP_END;
	/* no progress: not an error when there was nothing to work on */
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

static enum step_result zstd_run(struct unpack *u, struct step *step,
				 const char **why)
{
	ZSTD_inBuffer in = { step->in, step->in_len, 0 };
	ZSTD_outBuffer out = { step->out, step->out_len, 0 };
	size_t rc = ZSTD_decompressStream(u->zstd, &out, &in);

	step->in += in.pos;
	step->in_len -= in.pos;
	step->out += out.pos;
	step->out_len -= out.pos;
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
		error_set(err, ERROR_IMAGE, 0,
			  "%s: truncated: %" PRIu64
			  " bytes of %s data at offset %" PRIu64
			  " reach past the end of the file (%" PRIu64 " bytes)",
			  file->name, size, codec->name, offset, file->size);
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
	error_set(err, ERROR_IO, ENOMEM, "%s", file->name);
	return NULL;
}

static int unpack_refill(struct unpack *u, struct error *err)
{
	size_t len = u->left < INPUT_SIZE ? (size_t)u->left : INPUT_SIZE;

	if (len == 0)
		return error_set(err, ERROR_IMAGE, 0, "%s: truncated %s data",
				 u->file->name, u->codec->name);
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
	struct step step = { .out = buf, .out_len = len };
	const char *why = NULL;

	while (step.out_len > 0 && !u->ended) {
		size_t room = step.out_len;

		step.in = u->in;
		step.in_len = u->in_len;
		switch (u->codec->run(u, &step, &why)) {
		case STEP_BAD:
			return error_set(err, ERROR_IMAGE, 0,
					 "%s: corrupt %s data: %s",
					 u->file->name, u->codec->name, why);
		case STEP_END:
			u->ended = true;
			break;
		case STEP_MORE:
			break;
		}
		u->in = step.in;
		u->in_len = step.in_len;
		/* What was held back may fill the room without any input. */
		if (!u->ended && step.out_len == room && u->in_len == 0 &&
		    unpack_refill(u, err) < 0)
			return -1;
	}
	*got = len - step.out_len;
	return 0;
}

void unpack_close(struct unpack *u)
{
	if (u)
		u->codec->close(u);
	free(u);
}
