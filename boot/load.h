/* Brings bytes of a host file into guest memory.
 *
 * A struct boot_file describes an open regular file and owns nothing. The
 * caller opens fd, and may close it when the last call has returned. Texts of
 * errors do not name the file, because kernel_load() and initrd_load() do. All
 * functions run on the set-up thread, before any vCPU.
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
	const char *name; /* its path, for messages */
	bool steady;	  /* nobody changes the file before load_detach() */
};

/* A part of guest memory that shows pages of a file. */
struct load_mapping {
	uint8_t *host;
	uint64_t len; /* bytes; 0: no such part */
};

/* Reads exactly len bytes at offset. 0, or -1 with ERROR_IMAGE for a range that
 * reaches past file->size and ERROR_IO for a read that fails or a file that has
 * become shorter. */
int boot_file_read(const struct boot_file *file, uint64_t offset, void *buf,
		   size_t len, struct error *err);

/* As guest_range(), for a range that is to be written now. A large one gets
 * transparent huge pages if the host has them. */
uint8_t *load_place(const struct guest_mem *mem, uint64_t gpa, uint64_t len);

/* As load_range(), for bytes that a guest hardly writes and of which it reads
 * only a part. If the file is steady and its pages can be aligned with the
 * guest's, whole pages are mapped privately instead of being copied. All guests
 * share them, and pages that no guest touches cost nothing. *mapping is the
 * part that is mapped. */
int load_mapped(const struct guest_mem *mem, uint64_t gpa,
		const struct boot_file *file, uint64_t offset, uint64_t len,
		struct load_mapping *mapping, struct error *err);

/* Replaces the file's pages by memory of the same content. After that, the file
 * may change. No vCPU runs. 0, or -1 with ERROR_IO if memory is short. */
int load_detach(const struct load_mapping *mapping, struct error *err);

/* Reads len bytes at offset of the file to guest physical address gpa. 0, or -1
 * with the errors of boot_file_read(), and ERROR_IMAGE for a range outside
 * guest memory. */
int load_range(const struct guest_mem *mem, uint64_t gpa,
	       const struct boot_file *file, uint64_t offset, uint64_t len,
	       struct error *err);
