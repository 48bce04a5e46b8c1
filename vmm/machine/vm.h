/* One virtual machine, from the KVM descriptor to the last device.
 *
 * struct vm owns everything that lives as long as one boot of the guest; what
 * outlives a guest reboot (open disks, taps, console) is in struct resources.
 * vm_create() and vm_destroy() walk one table of stages, forward and back.
 * The calling thread of vm_run() is the event loop; each vCPU has its own, and
 * each further event loop that devices ask for.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "arch_state.h"
#include "base/bus.h"
#include "base/error.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "devices/console/serial_16550.h"
#include "devices/platform/power.h"
#include "devices/virtio/virtio_mmio.h"
#include "vmm/host/timeline.h"
#include "vmm/machine/arch.h"
#include "vmm/machine/disk_reload.h"
#include "vmm/machine/iothread.h"
#include "vmm/machine/pmem.h"
#include "vmm/machine/resources.h"
#include "vmm/machine/vcpu.h"

enum vm_stop_reason {
	VM_STOP_NONE, /* still running */
	VM_STOP_POWEROFF,
	VM_STOP_REBOOT,
	VM_STOP_QUIT,  /* asked for from outside */
	VM_STOP_ERROR, /* exit_code is an error_class */
};

struct vm_stop {
	enum vm_stop_reason reason;
	int exit_code; /* the process's, unless the guest boots again */
	char text[sizeof(((struct error *)0)->text)];
};

struct vm_device {
	struct virtio_device *dev;
	void (*destroy)(struct virtio_device *dev);
	struct virtio_mmio *mmio;
};

struct vm {
	const struct vm_config *config;
	struct resources *resources;
	struct timeline *timeline;

	const struct vm_layout *layout;
	int fd;
	void *memory; /* the mapping behind ram, memory_size bytes */
	size_t memory_size;
	int memory_fd;	      /* of shared memory; -1: private */
	struct guest_mem ram; /* what kernels are loaded to */
	struct guest_mem mem; /* that, and persistent memory, for devices */
	struct pmem_mapping pmems[CONFIG_PMEMS_MAX];
	struct load_mapping kernel_pages; /* of ram: still those of the file */
	struct event_loop *loop;
	struct bus mmio;
	struct serial serial;
	struct virtio_device *hvc; /* one of devices; NULL: none */
	struct power power;
	struct vm_device devices[LAYOUT_SLOTS_MAX];
	struct disk_reload reload;
	struct iothread iothreads[LAYOUT_SLOTS_MAX];
	unsigned iothread_count;
	struct arch_state arch;
	struct vcpu *vcpus;

	struct event_source signals;
	struct event_source stop_timer; /* made when SIGTERM comes */
	bool stop_asked; /* SIGTERM has pressed the power button */

	/* Why the VM stops: changed under stop_lock, and as a whole. */
	pthread_mutex_t stop_lock;
	struct vm_stop stop;
	atomic_bool stopping; /* stop has a reason */

	/* vCPUs that stand still: vm_pause() */
	pthread_mutex_t pause_lock;
	pthread_cond_t pause_changed;
	atomic_bool paused;
	unsigned running; /* threads that do not, and have not ended */
};

/* Blocks the signals that vm_run() answers, for this thread and those to come,
 * so that none of them ends the process before that; and ignores SIGPIPE and
 * SIGXFSZ, which come as errors instead. */
void vm_block_signals(void);

int vm_create(struct vm *vm, const struct vm_config *config,
	      const struct vm_layout *layout, struct resources *resources,
	      struct timeline *timeline, struct error *err);

/* Runs the guest until it stops, and says why it did. */
void vm_run(struct vm *vm, struct vm_stop *stop);
void vm_destroy(struct vm *vm);

/* Ends the VM. The first caller's reason stands, and with it the exit code and
 * the text, but that a reboot gives way to any other. Any thread. */
void vm_stop(struct vm *vm, enum vm_stop_reason reason, int exit_code,
	     const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Makes all vCPUs leave the guest and wait, and lets them go on. Event loop. */
void vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);

/* For the thread of a vCPU: it begins and ends; and it stands still for as long
 * as it has to. */
void vm_enter_vcpu(struct vm *vm);
void vm_leave_vcpu(struct vm *vm);
void vm_wait_while_paused(struct vm *vm);

static inline bool vm_stopping(struct vm *vm)
{
	return atomic_load_explicit(&vm->stopping, memory_order_acquire);
}

/* For whoever creates devices: a line that raises gsi, until the VM is
 * destroyed. */
struct irq_line vm_irq_line(const struct vm *vm, uint32_t gsi);
