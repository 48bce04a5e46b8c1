/* A VM's memory: one mapping for all of it, private, or shared with the
 * processes that serve devices. Set-up thread.
 */
#pragma once

#include "base/error.h"

struct vm;

/* Maps vm->memory and persistent memory, lists them in vm->ram and vm->mem as
 * the layout says, and shows them to the guest. memory_destroy() frees what a
 * failure leaves. */
int memory_create(struct vm *vm, struct error *err);
void memory_destroy(struct vm *vm);
