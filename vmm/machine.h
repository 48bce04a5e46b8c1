/* The virtio devices of a machine, one per slot of the layout. */
#pragma once

#include "base/error.h"

struct vm;

/* Creates device and transport for each slot and puts it on the bus. What a
 * failure leaves behind is freed by machine_destroy_devices(). */
int machine_create_devices(struct vm *vm, struct error *err);
void machine_destroy_devices(struct vm *vm);
