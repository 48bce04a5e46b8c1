/* The virtio devices of a machine, one per slot of the layout. */
#pragma once

#include "base/error.h"

struct vm;
struct virtio_device;

/* Creates device and transport for each slot and puts it on the bus. What a
 * failure leaves behind is freed by machine_destroy_devices(). */
int machine_create_devices(struct vm *vm, struct error *err);
void machine_destroy_devices(struct vm *vm);

/* The device of a disk, by its number in the configuration. */
struct virtio_device *machine_disk(const struct vm *vm, unsigned index);
