/* The virtio devices of a machine, one per slot of the layout.
 *
 * What they need of the host is opened once; the devices themselves and their
 * transports are made for each boot. Set-up thread, but where another is named.
 */
#pragma once

#include "vmm/machine/kind.h"
#include "vmm/machine/platform.h"

struct machine_devices {
	unsigned count;
	struct machine_device list[LAYOUT_SLOTS_MAX];
};

/* Lists the devices of the layout, which outlives the list. */
void devices_init(struct machine_devices *devices,
		  const struct vm_layout *layout);

/* Opens what the devices need of the host: of the kinds that open late, or of
 * all others, which are opened first. -1 with err set; devices_close() takes
 * what a failure leaves. */
int devices_open(struct machine_devices *devices, const struct kind_host *host,
		 bool late, struct error *err);
void devices_close(struct machine_devices *devices);

/* Whether other processes serve devices, and therefore map guest memory. */
bool devices_share_memory(const struct machine_devices *devices);

/* Maps the memory that devices bring. -1 with err set; memory_destroy() unmaps
 * it. */
int devices_map(struct machine_devices *devices, struct memory *memory,
		struct error *err);

/* Creates the devices and their transports, and puts them on the bus. -1 with
 * err set; devices_destroy() frees what a failure leaves. */
int devices_create(struct machine_devices *devices,
		   const struct kind_machine *machine,
		   struct platform *platform, struct error *err);

/* for_good: no other boot follows, so that servers are left without waiting
 * until they have given their rings back. */
void devices_destroy(struct machine_devices *devices, bool for_good);

/* Quiesce all devices, so that nothing of the guest's is in flight, and have
 * them go on. vCPUs stand still from the one to the other. Event loop. */
void devices_quiesce(struct machine_devices *devices);
void devices_resume(struct machine_devices *devices);

/* The device of this kind with that number in the configuration; NULL: none.
 * Any thread. */
struct machine_device *devices_find(struct machine_devices *devices,
				    const struct machine_kind *kind,
				    unsigned index);
