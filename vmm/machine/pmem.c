#include "vmm/machine/pmem.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "vmm/machine/vm.h"

/* What Linux maps of persistent memory comes in pieces of this size
 * (memremap_compat_align()). */
#define PIECE LAYOUT_PMEM_PIECE

/* KVM takes less than 8 TiB at once. */
#define SIZE_MAX_TIB 4

int pmem_measure(const char *path, uint64_t *size, struct error *err)
{
	struct stat st;

	if (stat(path, &st))
		return error_set(err, ERROR_IO, errno, "pmem %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_IO, 0,
				 "pmem %s: not a regular file", path);
	*size = (uint64_t)st.st_size;
	if (!*size || *size % PIECE)
		return error_set(err, ERROR_IO, 0,
				 "pmem %s: %llu bytes are not a multiple of "
				 "2 MiB (truncate -s %%2M FILE makes them one)",
				 path, (unsigned long long)*size);
	if (*size > SIZE_MAX_TIB * (1ULL << 40))
		return error_set(err, ERROR_IO, 0,
				 "pmem %s: %llu GiB are more than %d TiB", path,
				 (unsigned long long)*size >> 30, SIZE_MAX_TIB);
	return 0;
}

/* Huge pages of the file's, where it has them, are huge pages of the guest's
 * only if both begin at a multiple of their size. What is read only is the
 * guest's to write to all the same, in pages of its own: the device has no way
 * to forbid it (virtio 1.2, 5.19.4). */
static int map_one(struct vm *vm, unsigned index, struct error *err)
{
	const struct layout_range *range = &vm->layout->pmems[index];
	const struct disk *file = &vm->resources->pmems[index];
	struct pmem_mapping *mapping = &vm->pmems[index];
	size_t size = range->size + PIECE;
	uint8_t *host;

	if (file->size != range->size)
		return error_set(err, ERROR_IO, 0, "its size has changed");
	host = mmap(NULL, size, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (host == MAP_FAILED)
		return error_set(err, ERROR_IO, errno, "map");
	*mapping = (struct pmem_mapping){ host, size };
	host += -(uintptr_t)host & (PIECE - 1);
	if (mmap(host, range->size, PROT_READ | PROT_WRITE,
		 MAP_FIXED | (file->readonly ? MAP_PRIVATE | MAP_NORESERVE
					     : MAP_SHARED),
		 file->fd, 0) == MAP_FAILED)
		return error_set(err, ERROR_IO, errno, "map");
	guest_mem_add(&vm->mem, range->base, range->size, host);
	if (!file->readonly)
		guest_mem_share(&vm->mem, file->fd, 0);
	return 0;
}

int pmem_map(struct vm *vm, struct error *err)
{
	for (unsigned i = 0; i < vm->layout->pmem_count; i++)
		if (map_one(vm, i, err))
			return error_wrap(err, "pmem %s",
					  vm->config->pmems[i].path);
	return 0;
}

void pmem_unmap(struct vm *vm)
{
	for (unsigned i = 0; i < vm->layout->pmem_count; i++)
		if (vm->pmems[i].host)
			munmap(vm->pmems[i].host, vm->pmems[i].size);
}
