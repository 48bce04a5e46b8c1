/* Looks at the disks again when a signal asks for it: a disk may have another
 * size by now, or its path may lead to another file.
 *
 * A thread of its own looks, because opening and locking a file may take time.
 * The main event loop applies what it found: a size at once, another file when
 * the device has let go of the one before.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "devices/block/disk_file.h"
#include "vmm/machine/devices.h"

struct disk_reload;

/* A file that is about to become a disk's. */
struct disk_swap {
	struct disk_reload *reload;
	struct machine_device *device;
	const struct config_disk *config;
	struct disk fresh;
	struct file_id id; /* of the fresh disk's file */
};

struct disk_reload {
	/* The caller's. They outlive the reload. */
	const struct vm_config *config;
	struct own_files *files;
	struct machine_devices *devices;
	struct event_loop *loop;

	struct disk_look *look; /* what a thread works on; NULL: none looks */
	struct event_source found;
	struct disk_swap swaps[CONFIG_DISKS_MAX];

	/* Devices report from their event loops and from vCPUs' threads. */
	pthread_mutex_t lock;
	unsigned swapping; /* devices that have yet to let go of a file */
	bool again;	   /* another round was asked for meanwhile */
};

/* Blocked before any thread starts. The VM calls disk_reload_start() for it. */
#define DISK_RELOAD_SIGNAL SIGUSR2

/* Set-up thread. Devices may let go of files until disk_reload_destroy(), which
 * follows their end. */
void disk_reload_create(struct disk_reload *reload,
			const struct vm_config *config, struct own_files *files,
			struct machine_devices *devices,
			struct event_loop *loop);
void disk_reload_destroy(struct disk_reload *reload);

/* Begins to look, or will when the round under way has ended. An error is
 * logged and leaves the disk as it is. Main event loop. */
void disk_reload_start(struct disk_reload *reload);

/* Ends the round under way: nothing that it finds is applied, and its thread is
 * not waited for. The signal is sent again, for the next boot. The event loops
 * have stopped. */
void disk_reload_stop(struct disk_reload *reload);
