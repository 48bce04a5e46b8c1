/* File system device (virtio 1.2, section 5.11) whose requests a vhost-user
 * server, virtiofsd, serves. It has one request queue. The tag is ours.
 *
 * A server that is lost loses the state of the files that the guest has open.
 * So requests fail with ENOTCONN from then on, until the guest boots again.
 */
#pragma once

#include "base/error.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "devices/vhost_user/vhost_user.h"
#include "devices/virtio/virtio_device.h"

#define VHOST_USER_FS_TAG_MAX 36 /* bytes, without a 0 at the end; 5.11.4 */
#define VHOST_USER_FS_QUEUE_SIZE 128

/* For struct vhost_user_options. */
extern const struct vhost_user_kind vhost_user_fs_kind;

/* mem is shared. conn, mem and loop outlive the device; tag is copied. NULL
 * with err set when memory or descriptors run out. */
struct virtio_device *vhost_user_fs_create(struct vhost_user *conn,
					   const char *tag,
					   const struct guest_mem *mem,
					   struct event_loop *loop,
					   struct error *err);
