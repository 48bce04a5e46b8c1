/* One boot of a virtual machine, from the KVM descriptor to the last device.
 *
 * struct vm owns everything that lives as long as one boot of the guest. What
 * outlives a reboot of the guest (open disks, taps, consoles) is in struct
 * resources. The thread that calls vm_run() runs the main event loop; each vCPU
 * has a thread, and so has each further event loop that devices ask for. Main
 * thread.
 */
#pragma once

#include "vmm/machine/consoles.h"
#include "vmm/machine/disk_reload.h"
#include "vmm/machine/resources.h"
#include "vmm/machine/shutdown.h"
#include "vmm/machine/signals.h"
#include "vmm/machine/vcpu.h"

struct vm {
	struct resources *resources;
	struct iothreads iothreads;
	struct stop stop;
	struct platform platform;
	struct memory memory;
	struct vcpus vcpus;
	struct disk_reload reload;
	struct shutdown shutdown;
	struct signals signals;
	struct consoles consoles;
};

/* A part of a VM. destroy() takes what create() made, also what a create() left
 * that failed half-way. */
struct vm_stage {
	const char *name;
	int (*create)(struct vm *vm, struct error *err);
	void (*destroy)(struct vm *vm); /* NULL: nothing is left of it */
};

/* All parts, in the order in which they are created. */
#define VM_STAGES 10
extern const struct vm_stage vm_stages[VM_STAGES];

/* Creates all stages, which are vm_stages, or a test's copy of them. -1 with
 * err set, and everything destroyed again. resources outlive the VM. */
int vm_create(struct vm *vm, const struct vm_stage stages[VM_STAGES],
	      struct resources *resources, struct error *err);

/* Runs the guest until it stops. vm->stop.cause says why it did, also after
 * vm_destroy(). */
void vm_run(struct vm *vm);

/* Destroys vm_stages in reverse order. */
void vm_destroy(struct vm *vm);

/* Whether the guest boots again after this end. */
bool vm_boots_again(const struct vm *vm);
