/* Entropy device (virtio 1.2, section 5.4), fed by getrandom(2).
 *
 * Kicks are served where they arrive: a request is answered in a few
 * microseconds, which is less than waking another thread.
 */
#pragma once

#include "devices/virtio/virtio_device.h"

/* mem and loop outlive the device. NULL with err set without memory. */
struct virtio_device *virtio_rng_create(const struct guest_mem *mem,
					struct event_loop *loop,
					struct error *err);
