#include "vmm/machine/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/memory_fault.h"
#include "vmm/machine/vm.h"

#define HUGE_PAGE (2ULL << 20)

static int explain(const struct config_memory *memory, int errnum,
		   struct error *err)
{
	return error_set(err, ERROR_IO, errnum, "memory: map %llu MiB%s",
			 (unsigned long long)memory->size >> 20,
			 memory->hugepages ? " of huge pages (see "
					     "/proc/sys/vm/nr_hugepages)"
					   : "");
}

/* Whoever gets the descriptor cannot make the file shorter, which would take
 * pages from under us. */
static int open_file(const struct config_memory *memory)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING |
			 (memory->hugepages ? MFD_HUGETLB | MFD_HUGE_2MB : 0u);
	autoclose int fd = memfd_create("onggi guest memory", flags);

	if (fd < 0 || ftruncate(fd, (off_t)memory->size) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -1;
	return take_fd(&fd);
}

/* Puts pages of a file in place of the private ones at host. Each boot has a
 * file of its own, so that a back-end with work of the one before does no harm
 * to this one; but not of huge pages, which would have to be there twice. */
static int share(struct vm *vm, uint8_t *host)
{
	const struct config_memory *memory = &vm->config->memory;
	int fd = take_fd(&vm->resources->memory_fd);

	if (fd < 0)
		fd = open_file(memory);
	if (fd < 0)
		return -1;
	vm->memory_fd = fd;
	return mmap(host, memory->size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED
		       ? -1
		       : 0;
}

/* It starts at a multiple of 2 MiB, so that the host can use huge pages where
 * it wants to. */
int memory_create(struct vm *vm, struct error *err)
{
	const struct config_memory *memory = &vm->config->memory;
	bool shared = resources_share_memory(vm->resources);
	bool hugetlb = memory->hugepages && !shared;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS |
		    (hugetlb ? MAP_HUGETLB | MAP_HUGE_2MB : MAP_NORESERVE);
	size_t slack = hugetlb ? 0 : HUGE_PAGE;
	uint64_t offset = 0;
	uint8_t *host;

	vm->memory_size = memory->size + slack;
	host = mmap(NULL, vm->memory_size, PROT_READ | PROT_WRITE, flags, -1,
		    0);
	if (host == MAP_FAILED)
		return explain(memory, errno, err);
	vm->memory = host;
	host += -(uintptr_t)host & (HUGE_PAGE - 1);
	if (shared && share(vm, host))
		return explain(memory, errno, err);
	for (unsigned i = 0; i < vm->layout->ram_count; i++) {
		uint64_t size = vm->layout->ram[i].size;

		guest_mem_add(&vm->ram, vm->layout->ram[i].base, size,
			      host + offset);
		if (shared)
			guest_mem_share(&vm->ram, vm->memory_fd, offset);
		offset += size;
	}
	vm->mem = vm->ram;
	if (pmem_map(vm, err) || kvm_set_memory(vm->fd, &vm->mem, err))
		return -1;
	memory_fault_watch(vm);
	timeline_mark(vm->timeline, TIMELINE_MEMORY_READY);
	return 0;
}

/* A back-end may hold on to shared memory until the next boot has some of its
 * own to show: its pages go now. */
void memory_destroy(struct vm *vm)
{
	const struct config_memory *memory = &vm->config->memory;

	memory_fault_unwatch();
	pmem_unmap(vm);
	if (vm->memory)
		munmap(vm->memory, vm->memory_size);
	if (vm->memory_fd < 0)
		return;
	fallocate(vm->memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		  (off_t)memory->size);
	if (memory->hugepages)
		vm->resources->memory_fd = vm->memory_fd;
	else
		close(vm->memory_fd);
}
