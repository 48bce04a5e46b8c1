/* How a virtio device is paused, saved, loaded and resumed. A pause of the VM,
 *a snapshot, another disk in the place of one, and an unplugged device all use
 * the same three operations:
 *
 *	quiesce   nothing of the guest's is in flight, and nothing is served
 *	save      what the driver can see is copied out; load copies it into a
 *		  fresh device, made with the same kind of options
 *	resume    all else is rebuilt from that; ready queues are served, as
 *		  kicks may have been missed
 *
 * The device's lock is held during all of them. vCPUs stand still from quiesce
 * to resume, and event loops may run. During a hold vCPUs run, too.
 */
#pragma once

#include <assert.h>

#include "base/error.h"
#include "devices/virtio/virtio_device.h"

/* State of a device of any kind saved in a snapshot; that of its own follows
 * it. Queues that the device does not have are all zeroes. In the host's byte
 * order. */
struct virtio_device_state {
	uint64_t driver_features;
	uint32_t status;
	uint32_t config_generation;
	struct virtqueue_state queues[VIRTIO_QUEUES_MAX];
};
static_assert(sizeof(struct virtio_device_state) == 16 + 40 * 17,
	      "saved in snapshots");

/* From now on no queue is served; what is in flight goes on. Each hold ends
 * with a resume of its own. Does not wait. */
void virtio_device_hold(struct virtio_device *dev);

/* A hold at whose beginning nothing of the guest's is in flight. Waits for what
 * is under way with the host's files and servers. */
void virtio_device_quiesce(struct virtio_device *dev);

/* Ends one hold. With the last one the device goes on: its queues are started,
 * the driver hears of what was used, and all ready queues are served from the
 * event loop. */
void virtio_device_resume(struct virtio_device *dev);

/* Whether the device can be saved: 0, or -1 with err saying why it cannot. */
int virtio_device_can_save(const struct virtio_device *dev, struct error *err);

/* Bytes of the whole state. */
size_t virtio_device_state_size(const struct virtio_device *dev);

/* Copies the state out of a quiesced device that can be saved. Here and below,
 * state is aligned to 8 bytes. */
void virtio_device_save(const struct virtio_device *dev, void *state);

/* Copies a state, which may come from anybody, into a device that no driver has
 * touched. The device is held then, until virtio_device_resume(). -1, with err
 * set and the device as it was, for a state that it cannot have. */
int virtio_device_load(struct virtio_device *dev, const void *state,
		       size_t size, struct error *err);
