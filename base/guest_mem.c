#include "base/guest_mem.h"

#include <string.h>

int guest_mem_add(struct guest_mem *mem, uint64_t gpa, uint64_t size,
		  void *host)
{
	uint64_t last;

	if (mem->count == GUEST_REGIONS_MAX || size == 0 ||
	    __builtin_add_overflow(gpa, size - 1, &last))
		return -1;
	for (unsigned i = 0; i < mem->count; i++) {
		const struct guest_region *r = &mem->regions[i];

		if (gpa <= r->gpa + (r->size - 1) && r->gpa <= last)
			return -1;
	}
	mem->regions[mem->count++] = (struct guest_region){
		.gpa = gpa,
		.size = size,
		.host = host,
		.fd = -1,
	};
	return 0;
}

void guest_mem_share(struct guest_mem *mem, int fd, uint64_t offset)
{
	struct guest_region *last = &mem->regions[mem->count - 1];

	last->fd = fd;
	last->offset = offset;
}

uint64_t guest_mem_size(const struct guest_mem *mem)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < mem->count; i++)
		total += mem->regions[i].size;
	return total;
}

const struct guest_region *guest_mem_find(const struct guest_mem *mem,
					  uint64_t gpa)
{
	for (unsigned i = 0; i < mem->count; i++) {
		const struct guest_region *r = &mem->regions[i];

		/* A gpa below the region gives a huge difference. */
		if (gpa - r->gpa < r->size)
			return r;
	}
	return NULL;
}

void *guest_range(const struct guest_mem *mem, uint64_t gpa, uint64_t len)
{
	const struct guest_region *r = guest_mem_find(mem, gpa);

	if (!r || len > r->size - (gpa - r->gpa))
		return NULL;
	return r->host + (gpa - r->gpa);
}

int guest_read(const struct guest_mem *mem, uint64_t gpa, void *buf, size_t len)
{
	const void *host = guest_range(mem, gpa, len);

	if (!host)
		return -1;
	memcpy(buf, host, len);
	return 0;
}

int guest_write(const struct guest_mem *mem, uint64_t gpa, const void *buf,
		size_t len)
{
	void *host = guest_range(mem, gpa, len);

	if (!host)
		return -1;
	memcpy(host, buf, len);
	return 0;
}
