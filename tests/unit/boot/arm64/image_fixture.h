/* What the tests of arm64 kernels share: an Image made to order, and guest
 * memory where such a guest has it. Included by test programs only. */
#pragma once

#include "tests/unit/boot/boot_fixture.h"

#include "base/cleanup.h"
#include "base/le_types.h"

#define RAM_BASE 0x80000000ULL
#define RAM_SIZE (32ULL * MIB)
#define CODE_SIZE 0x30000
#define IMAGE_SIZE (2ULL * MIB) /* the rest is .bss */

struct image {
	uint8_t code0[8];
	le64_t text_offset;
	le64_t image_size;
	le64_t flags;
	uint8_t reserved[24];
	uint8_t magic[4];
	le32_t pe_offset;
	uint8_t body[CODE_SIZE - 64];
};

static inline struct image *image_make(void)
{
	struct image *image = calloc(1, sizeof(*image));

	assert_non_null(image);
	*image = (struct image){
		.code0 = { 'M', 'Z' },
		.image_size = le64(IMAGE_SIZE),
		.flags = le64(0xa),
		.magic = { 'A', 'R', 'M', 0x64 },
	};
	/* not so regular that it packs to nothing */
	for (unsigned i = 0; i < sizeof(image->body); i++)
		image->body[i] = (uint8_t)(i * (i >> 8) >> 3);
	return image;
}

static inline struct guest_mem ram_make(void)
{
	struct guest_mem mem = memory_make(RAM_SIZE);

	mem.regions[0].gpa = RAM_BASE;
	return mem;
}

static inline void check_image_refused(const void *bytes, size_t len,
				       const char *reason)
{
	struct guest_mem mem = ram_make();
	struct kernel_image kernel;

	load_in(&mem, bytes, len, KERNEL_AUTO, &kernel, reason);
	memory_free(&mem);
}

static inline void check_image_loaded(const void *bytes, size_t len,
				      const struct image *image)
{
	uint64_t start = RAM_BASE + le64_get(image->text_offset);
	uint64_t size = le64_get(image->image_size);
	struct guest_mem mem = ram_make();
	struct kernel_image kernel;
	const uint8_t *host;

	load_in(&mem, bytes, len, KERNEL_AUTO, &kernel, NULL);
	assert_int_equal(kernel.start, start);
	assert_int_equal(kernel.entry, start);
	assert_int_equal(kernel.end, start + size);
	assert_int_equal(kernel.initrd_max, 0x87fffffffULL);
	assert_int_equal(kernel.cmdline_max, 2047);
	host = guest_range(&mem, start, size);
	assert_memory_equal(host, image, sizeof(*image));
	for (uint64_t i = sizeof(*image); i < size; i++)
		assert_int_equal(host[i], 0);
	memory_free(&mem);
}
