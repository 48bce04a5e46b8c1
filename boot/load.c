#include "boot/load.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE (2ULL << 20)
/* Shorter ranges get no huge pages, of which they would fill less than half. */
#define HUGE_PAGES_MIN (1ULL << 20)

int boot_file_read(const struct boot_file *file, uint64_t offset, void *buf,
		   size_t len, struct error *err)
{
	uint8_t *to = buf;

	if (offset > file->size || len > file->size - offset)
		return error_image(err,
				   "truncated: %zu bytes at offset %" PRIu64
				   " reach past the end of the file (%" PRIu64
				   " bytes)",
				   len, offset, file->size);
	while (len > 0) {
		ssize_t n = pread(file->fd, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, ERROR_IO, errno, "read");
		if (n == 0)
			return error_io(err, "shrank while it was read");
		to += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Asks for huge pages for the range and for no part of another region. Nearly
 * all of the range will be written. A page fault for every 4 KiB, in the host
 * and again under the guest, would cost more than the copying. */
static void ask_huge_pages(const struct guest_region *region,
			   const uint8_t *host, uint64_t len)
{
	const uintptr_t mask = HUGE_PAGE - 1;
	const uintptr_t base = (uintptr_t)region->host;
	uintptr_t lowest = (base + mask) & ~mask;
	uintptr_t highest = (base + region->size) & ~mask;
	uintptr_t start = (uintptr_t)host & ~mask;
	uintptr_t end = ((uintptr_t)host + len + mask) & ~mask;

	if (start < lowest)
		start = lowest;
	if (end > highest)
		end = highest;
	/* It only saves time, and fails for hugetlb memory or without THP. */
	if (start < end)
		(void)madvise(region->host + (start - base), end - start,
			      MADV_HUGEPAGE);
}

uint8_t *load_place(const struct guest_mem *mem, uint64_t gpa, uint64_t len)
{
	const struct guest_region *region = guest_mem_find(mem, gpa);
	uint8_t *host = guest_range(mem, gpa, len);

	if (!region || !host)
		return NULL;
	if (len >= HUGE_PAGES_MIN)
		ask_huge_pages(region, host, len);
	return host;
}

int load_range(const struct guest_mem *mem, uint64_t gpa,
	       const struct boot_file *file, uint64_t offset, uint64_t len,
	       struct error *err)
{
	uint8_t *host = load_place(mem, gpa, len);

	if (!host)
		return error_image(err,
				   "%" PRIu64 " bytes at %#" PRIx64
				   " lie outside guest memory",
				   len, gpa);
	return boot_file_read(file, offset, host, len, err);
}

int load_mapped(const struct guest_mem *mem, uint64_t gpa,
		const struct boot_file *file, uint64_t offset, uint64_t len,
		struct load_mapping *mapping, struct error *err)
{
	const uint64_t mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	uint8_t *host = guest_range(mem, gpa, len);
	uint64_t head = -(uintptr_t)host & mask;
	uint64_t body = len > head ? (len - head) & ~mask : 0;

	*mapping = (struct load_mapping){ 0 };
	if (!host || !file->steady || body < HUGE_PAGES_MIN ||
	    offset > file->size || len > file->size - offset ||
	    ((offset + head) & mask) ||
	    mmap(host + head, body, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED, file->fd,
		 (off_t)(offset + head)) == MAP_FAILED)
		return load_range(mem, gpa, file, offset, len, err);
	*mapping = (struct load_mapping){ host + head, body };
	if (head > 0 && load_range(mem, gpa, file, offset, head, err))
		return -1;
	head += body;
	if (head == len)
		return 0;
	return load_range(mem, gpa + head, file, offset + head, len - head,
			  err);
}

/* To write to the private pages, so that the kernel copies them, would not be
 * enough: truncating the file removes such copies as well. */
int load_detach(const struct load_mapping *mapping, struct error *err)
{
	void *copy;

	if (mapping->len == 0)
		return 0;
	copy = mmap(NULL, mapping->len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copy == MAP_FAILED)
		return error_set(err, ERROR_IO, errno, "copy the kernel");
	memcpy(copy, mapping->host, mapping->len);
	if (mremap(copy, mapping->len, mapping->len,
		   MREMAP_MAYMOVE | MREMAP_FIXED, mapping->host) == MAP_FAILED)
		return error_set(err, ERROR_IO, errno, "copy the kernel");
	return 0;
}
