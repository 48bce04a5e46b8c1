/* Unpacks a part of a file, gzip (RFC 1952) or Zstandard (RFC 8878), as a
 * stream. Internal to boot/. Set-up thread.
 *
 * The sizes that the stream claims are not believed: no more is written than
 * the reader has asked for. Zstandard may take up to 128 MiB of host memory
 * for its window until unpack_close().
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "boot/load.h"

struct unpack_codec;

/* The codec that zboot headers call by this name ("gzip", "zstd"), or NULL. */
const struct unpack_codec *unpack_codec_find(const char *name);

struct unpack;

/* Opens the stream that the size bytes of file at offset hold. codec and file
 * must live until unpack_close(). NULL with ERROR_IMAGE if the bytes reach past
 * the end of the file, with ERROR_IO if memory is short. */
struct unpack *unpack_open(const struct unpack_codec *codec,
			   const struct boot_file *file, uint64_t offset,
			   uint64_t size, struct error *err);

/* Writes the next len bytes to buf. *got is fewer only at the end of the
 * stream, after its checksum was found right. 0, or -1 with ERROR_IMAGE for a
 * stream that is corrupt or ends too soon and ERROR_IO for a failed read. */
int unpack_read(struct unpack *u, void *buf, size_t len, size_t *got,
		struct error *err);

/* NULL is fine. */
void unpack_close(struct unpack *u);
