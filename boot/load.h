/* Brings bytes of a host file into guest memory.
 *
 * A struct boot_file describes an open regular file and owns nothing: the
 * caller opens and closes fd, which may be closed as soon as the last call
 * returns: guest memory holds copies. All functions run on the set-up thread,
 * before any vCPU.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/guest_mem.h"

struct boot_file {
	int fd;
	uint64_t size;	  /* bytes, as fstat() says */
	const char *name; /* for messages: its path */
};

/* Reads exactly len bytes at offset. A range past the end of the file is
 * ERROR_IMAGE; a read that fails, or a file shorter than its size says, is
 * ERROR_IO. 0 or -1. */
int boot_file_read(const struct boot_file *file, uint64_t offset, void *buf,
		   size_t len, struct error *err);

/* Where guest memory's [gpa, gpa + len) is to be written, as guest_range()
 * says. Large ranges get transparent huge pages where the host has them. */
uint8_t *load_place(const struct guest_mem *mem, uint64_t gpa, uint64_t len);

/* Reads len bytes at offset of the file to load_place() of guest physical
 * address gpa. No byte outside [gpa, gpa + len) changes. Errors as
 * boot_file_read(), and ERROR_IMAGE for a range outside guest memory. 0 or -1.
 */
int load_range(const struct guest_mem *mem, uint64_t gpa,
	       const struct boot_file *file, uint64_t offset, uint64_t len,
	       struct error *err);
