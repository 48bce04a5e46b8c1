/* Reads compressed bytes of a file, gzip (RFC 1952) or Zstandard (RFC 8878),
 * as a stream: the one user of zlib and libzstd. Internal to boot/. Set-up
 * thread.
 *
 * What the stream says of sizes is not believed: no more is written than the
 * reader has asked for. Zstandard may take up to 128 MiB of host memory for
 * its window until unpack_close().
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "boot/load.h"

struct unpack_codec;

/* The codec called name, as zboot headers call it ("gzip", "zstd"), or NULL.
 */
const struct unpack_codec *unpack_codec_find(const char *name);

struct unpack;

/* Opens the stream in size bytes of file at offset; both outlive it. NULL with
 * ERROR_IMAGE when they reach past the end of the file, ERROR_IO when memory
 * is short. */
struct unpack *unpack_open(const struct unpack_codec *codec,
			   const struct boot_file *file, uint64_t offset,
			   uint64_t size, struct error *err);

/* Fills buf with the next len bytes, and *got says how many there were: fewer
 * only at the end of the stream, whose checksum was right then. 0, or -1 with
 * ERROR_IMAGE for a stream that is corrupt or ends too soon, and ERROR_IO. */
int unpack_read(struct unpack *u, void *buf, size_t len, size_t *got,
		struct error *err);

/* NULL is fine. */
void unpack_close(struct unpack *u);
