/* Brings bytes of a host file into guest memory.
 *
 * A struct boot_file describes an open regular file and owns nothing: the
 * caller opens and closes fd, which may be closed as soon as the last call
 * returns: guest memory holds copies. All functions run on the set-up thread,
 * before any vCPU.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/guest_mem.h"

struct boot_file {
	int fd;
	uint64_t size;	  /* bytes, as fstat() says */
	const char *name; /* for messages: its path */
	/* Nobody changes it while it is mapped, until load_detach(). */
	bool steady;
};

/* A part of guest memory that shows pages of a file; len 0: none. */
struct load_mapping {
	uint8_t *host;
	uint64_t len;
};

/* Reads exactly len bytes at offset. A range past the end of the file is
 * ERROR_IMAGE; a read that fails, or a file shorter than its size says, is
 * ERROR_IO. 0 or -1. */
int boot_file_read(const struct boot_file *file, uint64_t offset, void *buf,
		   size_t len, struct error *err);

/* Where guest memory's [gpa, gpa + len) is to be written, as guest_range()
 * says. Large ranges get transparent huge pages where the host has them. */
uint8_t *load_place(const struct guest_mem *mem, uint64_t gpa, uint64_t len);

/* As load_range(), for what a guest reads in part and hardly writes: of a file
 * that is steady, whole pages are mapped, privately, where they can be. All
 * guests share them, and what is not touched costs nothing. *mapping says which
 * part that is. */
int load_mapped(const struct guest_mem *mem, uint64_t gpa,
		const struct boot_file *file, uint64_t offset, uint64_t len,
		struct load_mapping *mapping, struct error *err);

/* Puts memory of the same content in place of the file's pages, which may
 * change then. No vCPU runs. -1 with ERROR_IO when there is not enough. */
int load_detach(const struct load_mapping *mapping, struct error *err);

/* Reads len bytes at offset of the file to load_place() of guest physical
 * address gpa. No byte outside [gpa, gpa + len) changes. Errors as
 * boot_file_read(), and ERROR_IMAGE for a range outside guest memory. 0 or -1.
 */
int load_range(const struct guest_mem *mem, uint64_t gpa,
	       const struct boot_file *file, uint64_t offset, uint64_t len,
	       struct error *err);
