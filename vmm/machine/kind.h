/* What the machine does for each kind of device.
 *
 * A kind is a file in kinds/ that exports one const struct machine_kind. The
 * table in kinds.c lists them in the order in which the guest numbers devices.
 * What is done for all devices walks this table, or the list of devices that is
 * made from it (devices.h). All functions are called in the set-up thread.
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
	void *host;		   /* what open() has made, the kind's */
	struct vhost_user *server; /* serves its queues; NULL: none */
	bool shares_memory;	   /* guest memory, with another process */

	/* Of one boot. */
	struct virtio_device *dev; /* NULL: not created yet */
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

	/* Returns how many the configuration asks for. */
	unsigned (*count)(const struct vm_config *config);

	/* Prints what --dry-run says of one behind the name, without a line
	 * break. NULL: nothing. */
	void (*describe)(const struct vm_config *config, unsigned index,
			 FILE *out);

	/* Finds out how many bytes of guest address space behind RAM the device
	 * needs. -1 with err set when it cannot have them. NULL: it needs
	 * none. */
	int (*measure)(const struct vm_config *config, unsigned index,
		       uint64_t *size, struct error *err);

	/* The pidfile and the serial port's console are opened before the
	 * device, whose files must not be those. */
	bool opens_late;

	/* Opens what the device needs of the host, once for all boots. -1 with
	 * err set; close() takes what a failure leaves. device->host is NULL
	 * if open() did not get that far. Both NULL: nothing to open. */
	int (*open)(struct machine_device *device, const struct kind_host *host,
		    struct error *err);
	void (*close)(struct machine_device *device);

	/* Maps the memory that measure() asked for, at slot->memory. -1 with
	 * err set. NULL like measure(). */
	int (*map)(struct machine_device *device, struct memory *memory,
		   struct error *err);

	/* Makes device->dev for one boot. -1 with err set, perhaps with a dev.
	 * If there is one, it is destroyed after unwatch() at the end of the
	 * boot, when the transport, which resets the device, is gone. */
	int (*create)(struct machine_device *device,
		      const struct kind_machine *machine, struct error *err);

	/* Ends what create() had the main event loop watch, apart from dev.
	 * NULL: nothing. */
	void (*unwatch)(struct machine_device *device);
};

/* All of them; ends with NULL. */
extern const struct machine_kind *const machine_kinds[];
