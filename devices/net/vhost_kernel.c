#include "devices/net/vhost_kernel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"

/* struct vhost_memory with room for all regions of guest memory. */
struct memory_table {
	uint32_t count;
	uint32_t padding;
	struct vhost_memory_region regions[GUEST_REGIONS_MAX];
};
static_assert(offsetof(struct memory_table, regions) ==
		      offsetof(struct vhost_memory, regions),
	      "linux/vhost.h, struct vhost_memory");

static int control_kernel(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) ? -errno : 0;
}

static uint64_t address(const void *at)
{
	return (uintptr_t)at;
}

static int explain(const char *path, const char *module, int errnum,
		   struct error *err)
{
	switch (errnum) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return error_io(err,
				"%s: %s; have root load the kernel module: "
				"modprobe %s",
				path, strerror(errnum), module);
	case EACCES:
	case EPERM:
		return error_io(err,
				"%s: no permission; have root give it: "
				"setfacl -m u:USER:rw %s",
				path, path);
	case ENOTTY:
	case ENOTSUP:
		return error_io(err,
				"%s: is not what the kernel module %s makes, "
				"or too old",
				path, module);
	}
	return error_set(err, ERROR_IO, errnum, "%s", path);
}

int vhost_kernel_init(struct vhost_kernel *kernel, int fd)
{
	int ret;

	kernel->fd = fd;
	ret = kernel->control(fd, VHOST_SET_OWNER, NULL);
	if (ret == 0)
		ret = kernel->control(fd, VHOST_GET_FEATURES,
				      &kernel->features);
	if (ret == 0 && !(kernel->features >> VIRTIO_F_VERSION_1 & 1))
		ret = -ENOTSUP;
	if (ret)
		vhost_kernel_close(kernel);
	return ret;
}

int vhost_kernel_open(struct vhost_kernel *kernel, const char *path,
		      const char *module, struct error *err)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int ret = fd < 0 ? -errno : 0;

	*kernel = (struct vhost_kernel){ .fd = -1, .control = control_kernel };
	if (ret == 0)
		ret = vhost_kernel_init(kernel, fd);
	return ret ? explain(path, module, -ret, err) : 0;
}

void vhost_kernel_close(struct vhost_kernel *kernel)
{
	if (kernel->control)
		cleanup_close(&kernel->fd);
	*kernel = (struct vhost_kernel){ .fd = -1 };
}

int vhost_kernel_set_features(const struct vhost_kernel *kernel,
			      uint64_t features)
{
	return kernel->control(kernel->fd, VHOST_SET_FEATURES, &features);
}

int vhost_kernel_set_memory(const struct vhost_kernel *kernel,
			    const struct guest_mem *mem)
{
	struct memory_table table = { .count = mem->count };

	for (unsigned i = 0; i < mem->count; i++)
		table.regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = mem->regions[i].gpa,
			.memory_size = mem->regions[i].size,
			.userspace_addr = address(mem->regions[i].host),
		};
	return kernel->control(kernel->fd, VHOST_SET_MEM_TABLE, &table);
}

int vhost_kernel_set_ring(const struct vhost_kernel *kernel, unsigned index,
			  const struct virtqueue *vq,
			  const struct vhost_kernel_eventfds *eventfds)
{
	struct vhost_vring_state size = { index, vq->state.size };
	struct vhost_vring_state base = { index, vq->state.next_avail };
	struct vhost_vring_addr addr = {
		.index = index,
		.desc_user_addr = address(vq->desc),
		.avail_user_addr = address(vq->avail),
		.used_user_addr = address(vq->used),
	};
	struct vhost_vring_file kick = { index, eventfds->kick };
	struct vhost_vring_file call = { index, eventfds->call };
	struct vhost_vring_file error = { index, eventfds->error };
	const struct {
		unsigned long request;
		void *arg;
	} steps[] = {
		{ VHOST_SET_VRING_NUM, &size },
		{ VHOST_SET_VRING_BASE, &base },
		{ VHOST_SET_VRING_ADDR, &addr },
		{ VHOST_SET_VRING_KICK, &kick },
		{ VHOST_SET_VRING_CALL, &call },
		{ VHOST_SET_VRING_ERR, &error },
	};
	int ret = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(steps) && ret == 0; i++)
		ret = kernel->control(kernel->fd, steps[i].request,
				      steps[i].arg);
	return ret;
}

int vhost_kernel_get_base(const struct vhost_kernel *kernel, unsigned index,
			  uint16_t *base)
{
	struct vhost_vring_state state = { .index = index };
	int ret = kernel->control(kernel->fd, VHOST_GET_VRING_BASE, &state);

	*base = (uint16_t)state.num;
	return ret;
}

int vhost_kernel_set_tap(const struct vhost_kernel *kernel, unsigned index,
			 int tap)
{
	struct vhost_vring_file file = { index, tap };

	return kernel->control(kernel->fd, VHOST_NET_SET_BACKEND, &file);
}
