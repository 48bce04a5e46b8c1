#include "boot/initrd.h"

#include <inttypes.h>

/* The address after the last byte that the initrd may use. */
static uint64_t initrd_limit(const struct guest_mem *mem,
			     const struct kernel_image *kernel)
{
	const struct guest_region *r = guest_mem_find(mem, kernel->start);
	uint64_t limit = r ? r->gpa + r->size : 0;

	if (limit > 0 && limit - 1 > kernel->initrd_max)
		limit = kernel->initrd_max + 1;
	return limit;
}

int initrd_load(const struct boot_file *file, const struct guest_mem *mem,
		const struct kernel_image *kernel, struct initrd *out,
		struct error *err)
{
	const uint64_t mask = KERNEL_PAGE_MAX - 1;
	uint64_t lowest = (kernel->end + mask) & ~mask;
	uint64_t limit = initrd_limit(mem, kernel);

	if (file->size == 0)
		return error_image(err, "%s: the file is empty", file->name);
	if (limit < lowest || file->size > limit - lowest ||
	    ((limit - file->size) & ~mask) < lowest)
		return error_image(err,
				   "%s (%" PRIu64
				   " MiB) does not fit into %" PRIu64
				   " MiB of guest memory",
				   file->name, (file->size + 0xfffff) >> 20,
				   guest_mem_size(mem) >> 20);
	out->gpa = (limit - file->size) & ~mask;
	out->size = file->size;
	if (load_range(mem, out->gpa, file, 0, file->size, err) < 0)
		return error_wrap(err, "%s", file->name);
	return 0;
}
