#include "vmm/machine/disk_reload.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/container_of.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/wake.h"
#include "devices/block/virtio_blk.h"
#include "vmm/machine/kinds/disk.h"
#include "vmm/machine/kinds/kinds.h"

enum finding { FOUND_NOTHING, FOUND_SIZE, FOUND_OTHER };

/* One disk, as the thread sees it. The thread may outlive the configuration, so
 * everything here is a copy. */
struct disk_view {
	char *path; /* NULL: a server has the disk and looks after it */
	char *id;
	struct disk_options options;
	struct disk_host now; /* with a descriptor of its own; fd -1: none */

	enum finding finding;
	uint64_t size;	   /* with FOUND_SIZE, bytes */
	struct disk fresh; /* with FOUND_OTHER */
};

/* What the thread and its VM share. Each of them drops it once. */
struct disk_look {
	atomic_uint users;
	int found_fd;		/* an eventfd, signalled by the thread's end */
	struct own_files files; /* a copy, which follows what was found */
	unsigned count;
	struct disk_view views[CONFIG_DISKS_MAX];
};

static void look_drop(struct disk_look *look)
{
	if (atomic_fetch_sub(&look->users, 1) > 1)
		return;
	for (unsigned i = 0; i < look->count; i++) {
		struct disk_view *view = &look->views[i];

		free(view->path);
		free(view->id);
		cleanup_close(&view->now.disk.fd);
		if (view->finding == FOUND_OTHER)
			close(view->fresh.fd);
	}
	cleanup_close(&look->found_fd);
	free(look);
}

/* --- the thread --- */

static int look_at(struct disk_look *look, struct disk_view *view,
		   struct error *err)
{
	const struct disk *now = &view->now.disk;
	struct file_id *id = &look->files.list[view->now.file].id;
	struct stat st;

	if (stat(view->path, &st))
		return error_set(err, ERROR_IO, errno, "disk %s", view->path);
	if (file_id_equal(*id, file_id_of(&st))) {
		if (disk_measure(now->fd, view->path, now->block_size,
				 &view->size, err))
			return -1;
		view->finding = FOUND_SIZE;
		return 0;
	}
	if (own_files_refuse_disk(&look->files, view->path,
				  view->options.readonly, err) ||
	    disk_open(&view->options, &view->fresh, err))
		return -1;
	view->finding = FOUND_OTHER;
	*id = file_id_of(&st);
	return 0;
}

static void warn_unchanged(const char *id, const struct error *err)
{
	log_warn("%s: %s; the disk stays as it was", id, err->text);
}

static void *look_main(void *arg)
{
	struct disk_look *look = arg;

	for (unsigned i = 0; i < look->count; i++) {
		struct disk_view *view = &look->views[i];
		struct error err;

		if (view->path && look_at(look, view, &err))
			warn_unchanged(view->id, &err);
	}
	/* a copy of a descriptor would keep the lock of a file that the device
	 * lets go of */
	for (unsigned i = 0; i < look->count; i++)
		if (look->views[i].path)
			cleanup_close(&look->views[i].now.disk.fd);
	wake(look->found_fd);
	look_drop(look);
	return NULL;
}

/* --- applying --- */

static void *close_main(void *arg)
{
	autofree int *fd = arg;

	disk_close(*fd);
	return NULL;
}

/* Closes in a thread of its own: the last close of a block device writes back
 * its page cache, which takes time. */
static void close_elsewhere(int fd)
{
	int *copy = malloc(sizeof(*copy));

	if (copy) {
		*copy = fd;
		if (thread_start_detached("disk close", close_main, copy) == 0)
			return;
		free(copy);
	}
	disk_close(fd);
}

/* Begins another round when this one has ended, if somebody asked for it
 * meanwhile. Lock held. */
static void finish_round(struct disk_reload *reload)
{
	if (reload->swapping || reload->look || !reload->again)
		return;
	reload->again = false;
	kill(getpid(), DISK_RELOAD_SIGNAL);
}

/* The device uses the disk that it will keep, and unused is the descriptor of
 * the other one. */
static void end_swap(struct disk_reload *reload, int unused)
{
	close_elsewhere(unused);
	pthread_mutex_lock(&reload->lock);
	reload->swapping--;
	finish_round(reload);
	pthread_mutex_unlock(&reload->lock);
}

/* A device has let go of its old file, or could not take the new one. */
static void on_swapped(void *ctx, int result)
{
	struct disk_swap *swap = ctx;
	const struct config_disk *config = swap->config;
	struct disk *disk = &disk_host_of(swap->device)->disk;
	int unused = result ? swap->fresh.fd : disk->fd;
	struct error err;

	if (result) {
		error_set(&err, ERROR_IO, -result, "disk %s", config->path);
		warn_unchanged(config->id, &err);
	} else {
		*disk = swap->fresh;
		swap->reload->files->list[disk_host_of(swap->device)->file].id =
			swap->id;
		log_info("%s: disk %s: new file", config->id, config->path);
	}
	end_swap(swap->reload, unused);
}

static struct machine_device *device_of(const struct disk_reload *reload,
					unsigned index)
{
	return devices_find(reload->devices, &disk_kind, index);
}

static void apply_size(struct disk_reload *reload, unsigned index,
		       uint64_t size)
{
	const struct config_disk *config = &reload->config->disks[index];
	struct machine_device *device = device_of(reload, index);
	struct disk *disk = &disk_host_of(device)->disk;

	if (size == disk->size)
		return;
	log_info("%s: disk %s: new size %llu bytes", config->id, config->path,
		 (unsigned long long)size);
	disk->size = size;
	pthread_mutex_lock(&device->dev->lock);
	virtio_blk_resize(device->dev, size);
	pthread_mutex_unlock(&device->dev->lock);
}

static void apply_file(struct disk_reload *reload, unsigned index,
		       struct disk *fresh, struct file_id id)
{
	const struct config_disk *config = &reload->config->disks[index];
	struct machine_device *device = device_of(reload, index);
	struct virtio_device *dev = device->dev;
	struct disk_swap *swap = &reload->swaps[index];
	struct error err;
	int ret;

	*swap = (struct disk_swap){
		.reload = reload,
		.device = device,
		.config = config,
		.fresh = *fresh,
		.id = id,
	};
	pthread_mutex_lock(&reload->lock);
	reload->swapping++;
	pthread_mutex_unlock(&reload->lock);
	pthread_mutex_lock(&dev->lock);
	ret = virtio_blk_swap(dev, fresh, on_swapped, swap, &err);
	pthread_mutex_unlock(&dev->lock);
	if (ret == 0)
		return;
	error_wrap(&err, "disk %s", config->path);
	warn_unchanged(config->id, &err);
	end_swap(reload, fresh->fd);
}

static void on_found(struct event_source *source, uint32_t events)
{
	struct disk_reload *reload =
		container_of(source, struct disk_reload, found);
	struct disk_look *look = reload->look;

	(void)events;
	if (!wake_take(source->fd))
		return;
	event_loop_remove(reload->loop, source);
	for (unsigned i = 0; i < look->count; i++) {
		struct disk_view *view = &look->views[i];

		if (view->finding == FOUND_SIZE)
			apply_size(reload, i, view->size);
		if (view->finding == FOUND_OTHER)
			apply_file(reload, i, &view->fresh,
				   look->files.list[view->now.file].id);
		view->finding = FOUND_NOTHING; /* the file is the device's */
	}
	look_drop(look);
	pthread_mutex_lock(&reload->lock);
	reload->look = NULL;
	finish_round(reload);
	pthread_mutex_unlock(&reload->lock);
}

/* --- starting and stopping --- */

/* host: NULL where a server has the disk. False without memory or
 * descriptors. */
static bool fill_view(struct disk_view *view, const struct config_disk *config,
		      const struct disk_host *host)
{
	view->now.disk.fd = -1;
	view->id = strdup(config->id);
	if (!host)
		return view->id;
	view->path = strdup(config->path);
	view->options = (struct disk_options){
		.path = view->path,
		.readonly = config->readonly,
		.direct = config->direct,
	};
	view->now = *host;
	view->now.disk.fd = fcntl(host->disk.fd, F_DUPFD_CLOEXEC, 0);
	return view->id && view->path && view->now.disk.fd >= 0;
}

static struct disk_look *look_create(const struct disk_reload *reload)
{
	struct disk_look *look = calloc(1, sizeof(*look));
	bool ok;

	if (!look)
		return NULL;
	atomic_init(&look->users, 1);
	look->files = *reload->files;
	look->found_fd = wake_open();
	ok = look->found_fd >= 0;
	for (unsigned i = 0; ok && i < reload->config->disk_count; i++) {
		look->count++;
		ok = fill_view(&look->views[i], &reload->config->disks[i],
			       disk_host_of(device_of(reload, i)));
	}
	if (ok)
		return look;
	look_drop(look);
	return NULL;
}

static int start_looking(struct disk_reload *reload)
{
	struct disk_look *look = look_create(reload);

	if (!look)
		return -1;
	reload->found = (struct event_source){
		.fd = look->found_fd,
		.ready = on_found,
	};
	atomic_store(&look->users, 2);
	if (event_loop_add(reload->loop, &reload->found, EPOLLIN) == 0 &&
	    thread_start_detached("disk reload", look_main, look) == 0) {
		reload->look = look;
		return 0;
	}
	event_loop_remove(reload->loop, &reload->found);
	atomic_store(&look->users, 1);
	look_drop(look);
	return -1;
}

void disk_reload_start(struct disk_reload *reload)
{
	bool busy;

	pthread_mutex_lock(&reload->lock);
	busy = reload->look || reload->swapping;
	if (busy)
		reload->again = true;
	pthread_mutex_unlock(&reload->lock);
	if (!busy && start_looking(reload))
		log_warn(
			"disk reload: out of memory, threads or descriptors; "
			"the disks stay as they were");
}

void disk_reload_stop(struct disk_reload *reload)
{
	if (!reload->look)
		return;
	event_loop_remove(reload->loop, &reload->found);
	look_drop(reload->look);
	pthread_mutex_lock(&reload->lock);
	reload->look = NULL;
	reload->again = true;
	finish_round(reload);
	pthread_mutex_unlock(&reload->lock);
}

void disk_reload_create(struct disk_reload *reload,
			const struct vm_config *config, struct own_files *files,
			struct machine_devices *devices,
			struct event_loop *loop)
{
	*reload = (struct disk_reload){
		.config = config,
		.files = files,
		.devices = devices,
		.loop = loop,
	};
	pthread_mutex_init(&reload->lock, NULL);
}

void disk_reload_destroy(struct disk_reload *reload)
{
	pthread_mutex_destroy(&reload->lock);
}
