/* One boot of a virtual machine, from the KVM descriptor to the last device.
 *
 * struct vm owns everything that lives as long as one boot of the guest; what
 * outlives a guest reboot (open disks, taps, consoles) is in struct resources.
 * The calling thread of vm_run() is the event loop; each vCPU has a thread, and
 * so has each further event loop that devices ask for.
 */
#pragma once

#include "vmm/machine/consoles.h"
#include "vmm/machine/disk_reload.h"
#include "vmm/machine/resources.h"
#include "vmm/machine/shutdown.h"
#include "vmm/machine/signals.h"
#include "vmm/machine/stages.h"
#include "vmm/machine/vcpu.h"

struct vm {
	const struct vm_config *config;
	const struct vm_layout *layout;
	struct resources *resources;
	struct event_loop *loop;
	struct stop stop;
	struct platform platform;
	struct memory memory;
	struct vcpus vcpus;
	struct iothreads iothreads;
	struct disk_reload reload;
	struct shutdown shutdown;
	struct signals signals;
	struct consoles consoles;
};

/* What a VM is made of, in order, for struct vm as the context. */
#define VM_STAGES 13
extern const struct stage vm_stages[VM_STAGES];

/* Makes vm ready for vm_stages. The arguments outlive it. */
void vm_init(struct vm *vm, const struct vm_layout *layout,
	     struct resources *resources);

/* vm_init() and all stages; -1 with err set, and nothing left. */
int vm_create(struct vm *vm, const struct vm_layout *layout,
	      struct resources *resources, struct error *err);

/* Runs the guest until it stops, and says why it did. */
void vm_run(struct vm *vm, struct stop_cause *cause);
void vm_destroy(struct vm *vm);

/* Whether the guest boots again after this end. */
bool vm_boots_again(const struct vm_config *config,
		    const struct stop_cause *cause);
