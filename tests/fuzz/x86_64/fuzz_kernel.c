/* Fuzzer of the kernel loaders: any bytes are a kernel file. The first byte
 * chooses the protocol. What loads goes on to the boot set-up, and must stay in
 * the bounds that kernel.h promises. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boot/initrd.h"
#include "boot/kernel.h"
#include "boot/x86_64/setup.h"

#define MEMORY_SIZE (8ULL << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_loaded(const struct guest_mem *mem,
			 const struct kernel_image *image,
			 const struct boot_file *file)
{
	struct x86_64_boot boot = { .kernel = image, .cmdline = "" };
	struct x86_64_entry entry;
	struct error err;

	assert(image->start >= KERNEL_LOWEST);
	assert(image->start < image->end && image->end <= MEMORY_SIZE);
	assert(image->entry >= image->start && image->entry < image->end);
	assert(image->arch.protocol != KERNEL_AUTO);
	assert(image->arch.setup_header_size <= SETUP_HEADER_MAX);
	if (initrd_load(file, mem, image, &boot.initrd, &err) < 0)
		boot.initrd.size = 0;
	assert(boot.initrd.size == 0 || boot.initrd.gpa >= image->end);
	assert(x86_64_setup_boot(mem, &boot, &entry, &err) == 0);
}

static void load_kernel(int fd, size_t size, enum kernel_protocol want)
{
	struct boot_file file = { .fd = fd, .size = size, .name = "fuzz" };
	struct guest_mem mem = { 0 };
	struct kernel_image image;
	struct error err;
	void *host = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (host == MAP_FAILED)
		abort();
	guest_mem_add(&mem, 0, MEMORY_SIZE, host);
	if (kernel_load(&file, &mem, want, &image, &err) == 0)
		check_loaded(&mem, &image, &file);
	munmap(host, MEMORY_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd;

	if (size < 1)
		return 0;
	fd = memfd_create("kernel", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1))
		abort();
	load_kernel(fd, size - 1, data[0] % 3);
	close(fd);
	return 0;
}
