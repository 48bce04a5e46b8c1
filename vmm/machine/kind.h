/* Kinds of devices: what the machine does for each, in one table.
 *
 * A kind is a file in kinds/ that exports one const struct machine_kind; the
 * table in kinds.c lists them in the order in which the guest numbers devices.
 * Everything that is done for all devices walks that table or the list of
 * devices made from it (devices.h). Set-up thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "devices/vhost_user/vhost_user.h"
#include "devices/virtio/virtio_mmio.h"
#include "vmm/host/own_files.h"
#include "vmm/host/timeline.h"
#include "vmm/machine/iothread.h"
#include "vmm/machine/memory.h"
#include "vmm/machine/stop.h"

struct machine_kind;

/* One device of the configuration. */
struct machine_device {
	const struct device_slot *slot; /* its kind, number and addresses */

	/* Outlives a guest reboot. */
	void *host;		   /* what open() has made, the kind's; NULL */
	struct vhost_user *server; /* serves its queues; NULL: none */
	bool shares_memory;	   /* with another process */

	/* Of one boot. */
	struct virtio_device *dev;
	void (*destroy)(struct virtio_device *dev);
	struct virtio_mmio *mmio;
};

/* What open() gets; all of it outlives the device. */
struct kind_host {
	const struct vm_config *config;
	struct own_files *files;
	struct timeline *timeline;
};

/* What create() gets; all of it outlives the boot. */
struct kind_machine {
	const struct vm_config *config;
	struct memory *memory;
	struct iothreads *iothreads;
	struct stop *stop;
};

struct machine_kind {
	const char *name; /* in what --dry-run prints */

	/* How many the configuration asks for. */
	unsigned (*count)(const struct vm_config *config);

	/* Prints what --dry-run says of one behind the name, without a line
	 * break. NULL: nothing. */
	void (*describe)(const struct vm_config *config, unsigned index,
			 FILE *out);

	/* Bytes of guest address space behind RAM that the device needs; -1
	 * with err set when it cannot be had. NULL: none. */
	int (*measure)(const struct vm_config *config, unsigned index,
		       uint64_t *size, struct error *err);

	/* The pidfile and the serial port's console are opened first: the
	 * device has files that must not be theirs. */
	bool opens_late;

	/* Opens what the device needs of the host, once for all boots. NULL:
	 * nothing. close() takes what a failed open() left. */
	int (*open)(struct machine_device *device, const struct kind_host *host,
		    struct error *err);
	void (*close)(struct machine_device *device);

	/* Maps the memory that measure() asked for, at slot->memory. NULL as
	 * above. */
	int (*map)(struct machine_device *device, struct memory *memory,
		   struct error *err);

	/* Makes device->dev for one boot, and says in device->destroy how it is
	 * destroyed. If there is a dev, also after a failure, unwatch() is
	 * called at the end of the boot, then destroy(). The transport is gone
	 * by then, and has reset the device. */
	int (*create)(struct machine_device *device,
		      const struct kind_machine *machine, struct error *err);

	/* Removes what create() has the main event loop watch besides the
	 * device. NULL: nothing. */
	void (*unwatch)(struct machine_device *device);
};

/* All of them; ends with NULL. */
extern const struct machine_kind *const machine_kinds[];
