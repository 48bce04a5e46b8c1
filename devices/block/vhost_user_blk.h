/* Block device (virtio 1.2, section 5.2) whose requests and configuration space
 * a vhost-user server serves, for example qemu-storage-daemon.
 *
 * While there is no server, requests fail with VIRTIO_BLK_S_IOERR.
 */
#pragma once

#include "devices/vhost_user/vhost_user.h"
#include "devices/virtio/virtio_device.h"

#define VHOST_USER_BLK_QUEUE_SIZE 128

/* For struct vhost_user_options. */
extern const struct vhost_user_kind vhost_user_blk_kind;

/* mem is shared. conn, mem and loop outlive the device. NULL with err set when
 * memory or descriptors run out. */
struct virtio_device *vhost_user_blk_create(struct vhost_user *conn,
					    const struct guest_mem *mem,
					    struct event_loop *loop,
					    struct error *err);
