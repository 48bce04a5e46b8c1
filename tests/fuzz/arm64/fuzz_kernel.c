/* Fuzzer of the kernel loaders: any bytes are a kernel file. What loads must
 * stay in the bounds that kernel.h promises. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boot/initrd.h"
#include "boot/kernel.h"

#define RAM_BASE 0x80000000ULL
#define RAM_SIZE (8ULL << 20)
/* A kernel that unpacks to more than there is runs into it. */
#define GUARD_SIZE 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_loaded(const struct guest_mem *mem,
			 const struct kernel_image *image,
			 const struct boot_file *file)
{
	struct initrd initrd;
	struct error err;

	assert(image->start >= RAM_BASE);
	assert(image->start < image->end && image->end <= RAM_BASE + RAM_SIZE);
	assert(image->entry >= image->start && image->entry < image->end);
	assert(image->initrd_max > image->end);
	if (initrd_load(file, mem, image, &initrd, &err) == 0)
		assert(initrd.gpa >= image->end);
}

static void load_kernel(const struct boot_file *file)
{
	struct guest_mem mem = { 0 };
	struct kernel_image image;
	struct error err;
	uint8_t *host =
		mmap(NULL, RAM_SIZE + GUARD_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (host == MAP_FAILED ||
	    mprotect(host + RAM_SIZE, GUARD_SIZE, PROT_NONE) < 0)
		abort();
	guest_mem_add(&mem, RAM_BASE, RAM_SIZE, host);
	if (kernel_load(file, &mem, KERNEL_AUTO, &image, &err) == 0)
		check_loaded(&mem, &image, file);
	munmap(host, RAM_SIZE + GUARD_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct boot_file file = {
		.fd = memfd_create("kernel", MFD_CLOEXEC),
		.size = size,
		.name = "fuzz",
	};

	if (file.fd < 0 || write(file.fd, data, size) != (ssize_t)size)
		abort();
	load_kernel(&file);
	close(file.fd);
	return 0;
}
