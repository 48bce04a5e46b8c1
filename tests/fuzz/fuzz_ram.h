/* Guest memory for fuzzers: small, so that random addresses hit it, and in a
 * heap block of its exact size, so that the sanitizer sees every byte beyond.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/guest_mem.h"

#define FUZZ_RAM_BASE 0x1000ULL
#define FUZZ_RAM_SIZE 0x1000u

/* A fuzzer's input as a stream; zeros after its end. */
struct fuzz_input {
	const uint8_t *data;
	size_t left;
};

static inline void fuzz_take(struct fuzz_input *in, void *buf, size_t size)
{
	size_t some = size < in->left ? size : in->left;

	memset(buf, 0, size);
	memcpy(buf, in->data, some);
	in->data += some;
	in->left -= some;
}

static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
	uint8_t value;

	fuzz_take(in, &value, sizeof(value));
	return value;
}

static inline uint8_t *fuzz_ram_create(struct guest_mem *mem)
{
	uint8_t *ram = calloc(1, FUZZ_RAM_SIZE);

	if (!ram || guest_mem_add(mem, FUZZ_RAM_BASE, FUZZ_RAM_SIZE, ram))
		abort();
	return ram;
}
