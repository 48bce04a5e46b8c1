/* Looking at the disks again, which a signal asks for: has a file another size,
 * or does its path lead to another file by now?
 *
 * A thread of its own looks, since opening a file may take its time, and a lock
 * does. What it found is applied in the event loop: a size at once, another
 * file when the device has let go of the one before.
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
};

struct disk_reload {
	/* The caller's, which outlive it. */
	const struct vm_config *config;
	struct own_files *files;
	struct machine_devices *devices;
	struct event_loop *loop;

	struct disk_look *look; /* a thread is at it; NULL: none */
	struct event_source found;
	struct disk_swap swaps[CONFIG_DISKS_MAX];

	/* Devices call from their event loops, whichever that is. */
	pthread_mutex_t lock;
	unsigned swapping; /* devices that have yet to let go */
	bool again;	   /* asked for since it began */
};

/* Blocked before any thread starts; the VM's event loop calls
 * disk_reload_start() for it. */
#define DISK_RELOAD_SIGNAL SIGUSR2

/* Set-up thread. Devices may let go of files until disk_reload_destroy(). */
void disk_reload_create(struct disk_reload *reload,
			const struct vm_config *config, struct own_files *files,
			struct machine_devices *devices,
			struct event_loop *loop);
void disk_reload_destroy(struct disk_reload *reload);

/* Begins to look, or will when the last time has come to its end. Troubles go
 * into the log, and leave the disk as it is. Event loop. */
void disk_reload_start(struct disk_reload *reload);

/* Nothing is applied after this, and no thread waited for. What was asked for
 * and not done is left to the next boot: the signal is sent again. The event
 * loop has stopped. */
void disk_reload_stop(struct disk_reload *reload);
