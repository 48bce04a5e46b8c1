/* Pausing, saving, loading and resuming a virtio device.
 *
 * Three operations serve a pause of the VM, a snapshot, the exchange of a disk
 * and the removal of a device:
 *
 *	quiesce   Nothing of the guest's is in flight, and no queue is served.
 *	save      Copies out what the driver can see. load copies that into a
 *		  fresh device, which was created with matching options.
 *	resume    Rebuilds everything else from that. All ready queues are
 *		  served, as kicks may have been missed.
 *
 * All functions are called under the device's lock. vCPUs stand still from
 * quiesce to resume; event loops may run. During a hold alone, vCPUs run too.
 */
#pragma once

#include <assert.h>

#include "base/error.h"
#include "devices/virtio/virtio_device.h"

/* State saved in a snapshot that all kinds of devices have, in the host's byte
 * order. The device's own state follows it. Queues that the device does not
 * have are all zeroes. */
struct virtio_device_state {
	uint64_t driver_features;
	uint32_t status;
	uint32_t config_generation;
	struct virtqueue_state queues[VIRTIO_QUEUES_MAX];
};
static_assert(sizeof(struct virtio_device_state) == 16 + 40 * 17,
	      "saved in snapshots");

/* From now on no queue is served. What is in flight goes on. Each hold is ended
 * by a resume of its own. Does not wait. */
void virtio_device_hold(struct virtio_device *dev);

/* Holds the device and waits until nothing of the guest's is in flight: for the
 * host's files, servers and kernel to end what they have begun. */
void virtio_device_quiesce(struct virtio_device *dev);

/* Ends one hold. When it was the last one, the device goes on: it starts its
 * queues, interrupts the driver for what was used, and has the event loop serve
 * all ready queues. */
void virtio_device_resume(struct virtio_device *dev);

/* Whether the device can be saved: 0, or -1 with err saying why it cannot. */
int virtio_device_can_save(const struct virtio_device *dev, struct error *err);

/* Bytes of the whole state. */
size_t virtio_device_state_size(const struct virtio_device *dev);

/* Copies the state out of a quiesced device that can be saved. Here and below,
 * state is aligned to 8 bytes. */
void virtio_device_save(const struct virtio_device *dev, void *state);

/* Copies a state into a device that no driver has touched yet. The state is not
 * trusted: it is checked as if a driver had written it. 0 with the device held
 * until virtio_device_resume(), or -1 with err set and the device unchanged. */
int virtio_device_load(struct virtio_device *dev, const void *state,
		       size_t size, struct error *err);
