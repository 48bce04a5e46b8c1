/* File system device (virtio 1.2, section 5.11) whose requests a vhost-user
 * back-end serves, virtiofsd: the tag is ours to tell, one request queue.
 *
 * A back-end that is lost takes what the guest has open with it: requests fail
 * with ENOTCONN from then on, until the guest boots again.
 */
#pragma once

#include "base/error.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "devices/vhost_user/vhost_user.h"
#include "devices/virtio/virtio_device.h"

#define VHOST_USER_FS_TAG_MAX 36 /* bytes, 5.11.4: not terminated when full */
#define VHOST_USER_FS_QUEUE_SIZE 128

/* What connections of such a device are made with. */
extern const struct vhost_user_kind vhost_user_fs_kind;

/* conn, mem, which is shared, and loop outlive the device. NULL with err set
 * when memory or descriptors run out. vhost_user_device_destroy() is its end. */
struct virtio_device *vhost_user_fs_create(struct vhost_user *conn,
					   const char *tag,
					   const struct guest_mem *mem,
					   struct event_loop *loop,
					   struct error *err);
