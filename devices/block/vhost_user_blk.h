/* Block device (virtio 1.2, section 5.2) whose requests a vhost-user back-end
 * serves, qemu-storage-daemon for one, and which has its configuration space.
 *
 * While there is none, requests fail with VIRTIO_BLK_S_IOERR.
 */
#pragma once

#include "base/error.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "devices/vhost_user/vhost_user.h"
#include "devices/virtio/virtio_device.h"

#define VHOST_USER_BLK_QUEUE_SIZE 128

/* What connections of such a device are made with. */
extern const struct vhost_user_kind vhost_user_blk_kind;

/* conn, mem, which is shared, and loop outlive the device. NULL with err set
 * when memory or descriptors run out. vhost_user_device_destroy() is its end. */
struct virtio_device *vhost_user_blk_create(struct vhost_user *conn,
					    const struct guest_mem *mem,
					    struct event_loop *loop,
					    struct error *err);
