/* The files of persistent memory: a mapping of each, where the layout has it.
 * Set-up thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct vm;

struct pmem_mapping {
	void *host; /* NULL: none; more than the file, for alignment */
	size_t size;
};

/* Bytes of a file that may serve: a regular one of whole huge pages. -1 with
 * err set otherwise. */
int pmem_measure(const char *path, uint64_t *size, struct error *err);

/* Maps the files of vm->resources and lists them in vm->mem. pmem_unmap() frees
 * what a failure leaves. */
int pmem_map(struct vm *vm, struct error *err);
void pmem_unmap(struct vm *vm);
