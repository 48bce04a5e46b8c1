#include "devices/vhost_user_fs.h"

#include <errno.h>
#include <linux/fuse.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "base/iov.h"
#include "base/le_types.h"
#include "devices/vhost_user/vhost_user_device.h"

#define QUEUES 2 /* 5.11.2: urgent requests, and all others */

const struct vhost_user_kind vhost_user_fs_kind = { .queues = QUEUES };

/* Answers with an error, as a FUSE server may answer any request
 * (linux/fuse.h). Requests without an answer have no buffer for one. FUSE uses
 * the guest's byte order, which is the host's. */
static uint32_t fail(const struct chain *chain)
{
	struct iov_cursor from = iov_cursor(chain->iov, chain->out_count);
	struct iov_cursor to =
		iov_cursor(chain->iov + chain->out_count, chain->in_count);
	struct fuse_in_header request;
	struct fuse_out_header answer = { .len = sizeof(answer),
					  .error = -ENOTCONN };

	if (iov_read(&from, &request, sizeof(request)) != sizeof(request))
		return 0;
	answer.unique = request.unique;
	return (uint32_t)iov_write(&to, &answer, sizeof(answer));
}

static const struct vhost_user_device_ops fs_ops = { .fail = fail };

static const struct virtio_device_ops device_ops = {
	.device_id = VIRTIO_ID_FS,
	.queue_size = VHOST_USER_FS_QUEUE_SIZE,
	.unsaved = "virtiofsd cannot save which files the guest has open",
	VHOST_USER_DEVICE_OPS,
};

struct virtio_device *vhost_user_fs_create(struct vhost_user *conn,
					   const char *tag,
					   const struct guest_mem *mem,
					   struct event_loop *loop,
					   struct error *err)
{
	const struct vhost_user_device_options options = {
		.device_ops = &device_ops,
		.ops = &fs_ops,
		.conn = conn,
		.queue_count = QUEUES,
		.config_size = sizeof(struct virtio_fs_config),
	};
	struct vhost_user_device *vd =
		vhost_user_device_create(&options, mem, loop, err);
	le32_t request_queues = le32(QUEUES - 1);

	if (!vd)
		return NULL;
	memcpy(vd->config, tag, strnlen(tag, VHOST_USER_FS_TAG_MAX));
	memcpy(vd->config +
		       offsetof(struct virtio_fs_config, num_request_queues),
	       &request_queues, sizeof(request_queues));
	return &vd->dev;
}
