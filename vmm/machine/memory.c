#include "vmm/machine/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"

#define HUGE_PAGE (2ULL << 20)

static int explain(const struct config_memory *config, int errnum,
		   struct error *err)
{
	return error_set(err, ERROR_IO, errnum, "memory: map %llu MiB%s",
			 (unsigned long long)config->size >> 20,
			 config->hugepages ? " of huge pages (see "
					     "/proc/sys/vm/nr_hugepages)"
					   : "");
}

/* The first address in a mapping at which a huge page can begin. */
static uint8_t *align(void *mapping)
{
	uint8_t *host = mapping;

	return host + (-(uintptr_t)host & (HUGE_PAGE - 1));
}

/* The seals keep servers, who get the descriptor, from making the file shorter:
 * our pages would be gone. */
static int open_file(const struct config_memory *config)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING |
			 (config->hugepages ? MFD_HUGETLB | MFD_HUGE_2MB : 0u);
	autoclose int fd = memfd_create("onggi guest memory", flags);

	if (fd < 0 || ftruncate(fd, (off_t)config->size) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -1;
	return take_fd(&fd);
}

/* Puts pages of a file in place of the private ones at host. Each boot has a
 * file of its own, so that a server that still works for the boot before does
 * no harm to this one. A file of huge pages is kept from boot to boot, because
 * the host would need twice as many of them. */
static int share(struct memory *memory, const struct config_memory *config,
		 uint8_t *host, int *kept_fd)
{
	memory->fd = take_fd(kept_fd);
	if (memory->fd < 0)
		memory->fd = open_file(config);
	if (memory->fd < 0)
		return -1;
	return mmap(host, config->size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, memory->fd, 0) == MAP_FAILED
		       ? -1
		       : 0;
}

int memory_create(struct memory *memory, const struct config_memory *config,
		  const struct vm_layout *layout, bool shared, int *kept_fd,
		  struct error *err)
{
	bool hugetlb = config->hugepages && !shared;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS |
		    (hugetlb ? MAP_HUGETLB | MAP_HUGE_2MB : MAP_NORESERVE);
	size_t size = config->size + (hugetlb ? 0 : HUGE_PAGE);
	void *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
	uint64_t offset = 0;

	*memory = (struct memory){ .fd = -1 };
	if (mapping == MAP_FAILED)
		return explain(config, errno, err);
	memory->mapping = mapping;
	memory->mapping_size = size;
	if (shared && share(memory, config, align(mapping), kept_fd))
		return explain(config, errno, err);
	for (unsigned i = 0; i < layout->ram_count; i++) {
		const struct layout_range *ram = &layout->ram[i];

		guest_mem_add(&memory->ram, ram->base, ram->size,
			      align(mapping) + offset);
		if (shared)
			guest_mem_share(&memory->ram, memory->fd, offset);
		offset += ram->size;
	}
	memory->all = memory->ram;
	return 0;
}

int memory_map_file(struct memory *memory, uint64_t gpa, uint64_t size, int fd,
		    bool is_private, struct error *err)
{
	size_t reserved = size + HUGE_PAGE;
	void *mapping = mmap(NULL, reserved, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			     0);
	int flags = is_private ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;

	if (mapping == MAP_FAILED)
		return error_set(err, ERROR_IO, errno, "map");
	memory->extra[memory->extra_count].host = mapping;
	memory->extra[memory->extra_count++].size = reserved;
	if (mmap(align(mapping), size, PROT_READ | PROT_WRITE,
		 MAP_FIXED | flags, fd, 0) == MAP_FAILED)
		return error_set(err, ERROR_IO, errno, "map");
	guest_mem_add(&memory->all, gpa, size, align(mapping));
	if (!is_private)
		guest_mem_share(&memory->all, fd, 0);
	return 0;
}

/* A server may keep the file open until the next boot shows it another one.
 * The hole gives the pages back now. */
static void release_file(struct memory *memory,
			 const struct config_memory *config, int *kept_fd)
{
	fallocate(memory->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		  (off_t)config->size);
	if (config->hugepages)
		*kept_fd = take_fd(&memory->fd);
	else
		cleanup_close(&memory->fd);
}

void memory_destroy(struct memory *memory, const struct config_memory *config,
		    int *kept_fd)
{
	while (memory->extra_count > 0) {
		memory->extra_count--;
		munmap(memory->extra[memory->extra_count].host,
		       memory->extra[memory->extra_count].size);
	}
	if (memory->mapping)
		munmap(memory->mapping, memory->mapping_size);
	memory->mapping = NULL;
	if (memory->fd >= 0)
		release_file(memory, config, kept_fd);
}

/* Pages that others map as well go only if the file loses them. */
static int drop(const struct memory *memory, uint8_t *start, const uint8_t *end)
{
	int advice = memory->fd >= 0 ? MADV_REMOVE : MADV_DONTNEED;

	if (start >= end)
		return 0;
	return madvise(start, (size_t)(end - start), advice) ? -errno : 0;
}

int memory_discard(const struct memory *memory, uint8_t *host, uint64_t len)
{
	const uintptr_t mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
	const struct load_mapping *kernel = &memory->kernel_pages;
	uint8_t *start = host + (-(uintptr_t)host & mask);
	uint8_t *end = host + len - ((uintptr_t)(host + len) & mask);
	uint8_t *kernel_end = kernel->host + kernel->len;
	int ret;

	if (!kernel->len || end <= kernel->host || start >= kernel_end)
		return drop(memory, start, end);
	ret = drop(memory, start, kernel->host);
	return ret ? ret : drop(memory, kernel_end, end);
}
