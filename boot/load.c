#include "boot/load.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <unistd.h>

int boot_file_read(const struct boot_file *file, uint64_t offset, void *buf,
		   size_t len, struct error *err)
{
	uint8_t *to = buf;

	if (offset > file->size || len > file->size - offset)
		return error_set(err, ERROR_IMAGE, 0,
				 "%s: truncated: %zu bytes at offset %" PRIu64
				 " reach past the end of the file (%" PRIu64
				 " bytes)",
				 file->name, len, offset, file->size);
	while (len > 0) {
		ssize_t n = pread(file->fd, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, ERROR_IO, errno, "%s: read",
					 file->name);
		if (n == 0)
			return error_set(err, ERROR_IO, 0,
					 "%s: shrank while it was read",
					 file->name);
		to += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static const struct guest_region *region_find(const struct guest_mem *mem,
					      uint64_t gpa)
{
	for (unsigned i = 0; i < mem->count; i++) {
		const struct guest_region *r = &mem->regions[i];

		if (gpa - r->gpa < r->size)
			return r;
	}
	return NULL;
}

/* Maps len bytes of the file over host, all three page aligned. */
static int map_pages(uint8_t *host, const struct boot_file *file,
		     uint64_t offset, uint64_t len)
{
	const int prot = PROT_READ | PROT_WRITE;
	const int flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;

	if (mmap(host, len, prot, flags, file->fd, (off_t)offset) != MAP_FAILED)
		return 0;
	/* Linux may have unmapped the old pages before it failed. */
	(void)mmap(host, len, prot, flags | MAP_ANONYMOUS, -1, 0);
	return -1;
}

int load_range(const struct guest_mem *mem, uint64_t gpa,
	       const struct boot_file *file, uint64_t offset, uint64_t len,
	       struct error *err)
{
	const uint64_t mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	const struct guest_region *region = region_find(mem, gpa);
	uint8_t *host = guest_range(mem, gpa, len);
	uint64_t head, whole;

	if (!region || !host)
		return error_set(err, ERROR_IMAGE, 0,
				 "%s: %" PRIu64 " bytes at %#" PRIx64
				 " lie outside guest memory",
				 file->name, len, gpa);
	/* Before anything is mapped: pages past the end would be SIGBUS. */
	if (offset > file->size || len > file->size - offset)
		return boot_file_read(file, offset, host, len, err);

	if (!region->overlay || len < LOAD_MAP_MIN ||
	    (((uintptr_t)host ^ offset) & mask) != 0)
		return boot_file_read(file, offset, host, len, err);

	head = -offset & mask; /* bytes up to the first page boundary */
	whole = (len - head) & ~mask;
	if (whole == 0 ||
	    map_pages(host + head, file, offset + head, whole) < 0)
		return boot_file_read(file, offset, host, len, err);

	if (boot_file_read(file, offset, host, head, err) < 0)
		return -1;
	return boot_file_read(file, offset + head + whole, host + head + whole,
			      len - head - whole, err);
}
