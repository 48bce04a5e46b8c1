#include "vmm/machine/discard.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/machine/vm.h"

/* Pages of a file that others map, too, are the file's to lose. */
static int drop(const struct vm *vm, uint8_t *start, const uint8_t *end)
{
	int advice = vm->memory_fd >= 0 ? MADV_REMOVE : MADV_DONTNEED;

	if (start >= end)
		return 0;
	return madvise(start, (size_t)(end - start), advice) ? -errno : 0;
}

int vm_discard(struct vm *vm, uint8_t *host, uint64_t len)
{
	const uintptr_t mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
	const struct load_mapping *kernel = &vm->kernel_pages;
	uint8_t *start = host + (-(uintptr_t)host & mask);
	uint8_t *end = host + len - ((uintptr_t)(host + len) & mask);
	uint8_t *kernel_end = kernel->host + kernel->len;
	int ret;

	if (!kernel->len || end <= kernel->host || start >= kernel_end)
		return drop(vm, start, end);
	ret = drop(vm, start, kernel->host);
	return ret ? ret : drop(vm, kernel_end, end);
}
