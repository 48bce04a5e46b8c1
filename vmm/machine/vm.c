#include "vmm/machine/vm.h"

#include <signal.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "vmm/machine/arch.h"
#include "vmm/machine/cmdline.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/memory_fault.h"

bool vm_boots_again(const struct vm *vm)
{
	return vm->stop.cause.reason == STOP_REBOOT &&
	       !vm->platform.config->no_reboot;
}

/* --- stages --- */

static int create_loops(struct vm *vm, struct error *err)
{
	int ret = iothreads_create(&vm->iothreads, err);

	stop_init(&vm->stop, vm->iothreads.main_loop);
	return ret;
}

static void destroy_loops(struct vm *vm)
{
	stop_destroy(&vm->stop);
	iothreads_destroy(&vm->iothreads);
}

static int create_kvm(struct vm *vm, struct error *err)
{
	vm->platform.vm_fd =
		arch_create_vm(vm->platform.kvm_fd, vm->platform.layout, err);
	return vm->platform.vm_fd < 0 ? -1 : 0;
}

/* Before another boot, the VM has to be gone: otherwise a guest could have many
 * of them wait for their end. KVM also complains in the host's log when one
 * process has two VMs of the same descriptor number. */
static void destroy_kvm(struct vm *vm)
{
	if (vm_boots_again(vm))
		cleanup_close(&vm->platform.vm_fd);
	else
		kvm_close_vm(vm->platform.vm_fd);
}

static int create_arch(struct vm *vm, struct error *err)
{
	return arch_create(&vm->platform, err);
}

static void destroy_arch(struct vm *vm)
{
	arch_destroy(&vm->platform);
}

static int create_memory(struct vm *vm, struct error *err)
{
	struct resources *r = vm->resources;

	if (memory_create(&vm->memory, &r->config->memory, r->layout,
			  devices_share_memory(&r->devices), &r->huge_fd,
			  err) ||
	    devices_map(&r->devices, &vm->memory, err) ||
	    kvm_set_memory(vm->platform.vm_fd, &vm->memory.all, err))
		return -1;
	memory_fault_watch(&vm->memory.all, &r->files);
	timeline_mark(r->timeline, TIMELINE_MEMORY_READY);
	return 0;
}

static void destroy_memory(struct vm *vm)
{
	memory_fault_unwatch();
	memory_destroy(&vm->memory, &vm->resources->config->memory,
		       &vm->resources->huge_fd);
}

static int create_vcpus(struct vm *vm, struct error *err)
{
	return vcpus_create(&vm->vcpus, &vm->platform,
			    (unsigned)vm->platform.config->cpus, err);
}

static void destroy_vcpus(struct vm *vm)
{
	vcpus_destroy(&vm->vcpus);
}

static int create_platform(struct vm *vm, struct error *err)
{
	return platform_create_devices(&vm->platform, vm->resources->console,
				       err);
}

static void destroy_platform(struct vm *vm)
{
	platform_destroy_devices(&vm->platform);
}

static int create_devices(struct vm *vm, struct error *err)
{
	struct resources *r = vm->resources;
	const struct kind_machine machine = {
		.config = r->config,
		.memory = &vm->memory,
		.iothreads = &vm->iothreads,
		.stop = &vm->stop,
	};

	disk_reload_create(&vm->reload, r->config, &r->files, &r->devices,
			   vm->iothreads.main_loop);
	return devices_create(&r->devices, &machine, &vm->platform, err);
}

static void destroy_devices(struct vm *vm)
{
	devices_destroy(&vm->resources->devices, !vm_boots_again(vm));
	/* until now they may have let go of disks */
	disk_reload_destroy(&vm->reload);
}

static int load_kernel(struct vm *vm, struct error *err)
{
	struct resources *r = vm->resources;
	autofree char *cmdline = cmdline_build(r->config, r->layout, err);

	if (!cmdline || arch_load(&vm->platform, &r->boot, cmdline, err))
		return -1;
	log_guest(LOG_INFO, "command line: %s", cmdline);
	timeline_mark(r->timeline, TIMELINE_KERNEL_LOADED);
	return 0;
}

/* A process is about to write to the kernel's file, and waits until the guest
 * has a copy of what it maps. */
static void release_kernel(struct vm *vm)
{
	struct error err;

	vcpus_pause(&vm->vcpus);
	devices_quiesce(&vm->resources->devices);
	if (load_detach(&vm->memory.kernel_pages, &err))
		stop_request(&vm->stop, STOP_ERROR, err.class, "%s", err.text);
	vm->memory.kernel_pages = (struct load_mapping){ 0 };
	devices_resume(&vm->resources->devices);
	vcpus_resume(&vm->vcpus);
	boot_files_release(&vm->resources->boot);
}

static void on_signal(void *ctx, int number)
{
	struct vm *vm = ctx;

	switch (number) {
	case BOOT_FILES_LEASE_SIGNAL:
		release_kernel(vm);
		break;
	case DISK_RELOAD_SIGNAL:
		disk_reload_start(&vm->reload);
		break;
	default:
		shutdown_signal(&vm->shutdown, number);
	}
}

static int watch_signals(struct vm *vm, struct error *err)
{
	struct event_loop *loop = vm->iothreads.main_loop;

	if (shutdown_create(&vm->shutdown, loop, &vm->platform, err))
		return -1;
	return signals_watch(&vm->signals, loop, on_signal, vm, err);
}

static void unwatch_signals(struct vm *vm)
{
	signals_unwatch(&vm->signals);
	shutdown_destroy(&vm->shutdown);
}

static int attach_consoles(struct vm *vm, struct error *err)
{
	return consoles_attach(&vm->consoles, vm->resources->console,
			       &vm->platform, &vm->resources->devices,
			       vm->iothreads.main_loop, err);
}

static void detach_consoles(struct vm *vm)
{
	consoles_detach(&vm->consoles);
}

/* The interrupt controller must exist before the first vCPU, and all vCPUs
 * before the first interrupt line. Memory comes after the controller: the other
 * way round, KVM takes 10 ms longer to close the VM. */
const struct vm_stage vm_stages[VM_STAGES] = {
	{ "event loops", create_loops, destroy_loops },
	{ "VM", create_kvm, destroy_kvm },
	{ "interrupt controller", create_arch, destroy_arch },
	{ "memory", create_memory, destroy_memory },
	{ "vCPUs", create_vcpus, destroy_vcpus },
	{ "platform", create_platform, destroy_platform },
	{ "virtio devices", create_devices, destroy_devices },
	{ "kernel", load_kernel, NULL },
	{ "signals", watch_signals, unwatch_signals },
	{ "consoles", attach_consoles, detach_consoles },
};

static void destroy_stages(struct vm *vm, unsigned count)
{
	while (count-- > 0)
		if (vm_stages[count].destroy)
			vm_stages[count].destroy(vm);
}

int vm_create(struct vm *vm, const struct vm_stage stages[VM_STAGES],
	      struct resources *resources, struct error *err)
{
	*vm = (struct vm){
		.resources = resources,
		.platform = {
			.config = resources->config,
			.layout = resources->layout,
			.timeline = resources->timeline,
			.memory = &vm->memory,
			.vcpus = &vm->vcpus,
			.stop = &vm->stop,
			.kvm_fd = resources->kvm_fd,
			.vm_fd = -1,
		},
		.signals.source.fd = -1,
	};
	for (unsigned i = 0; i < VM_STAGES; i++) {
		if (stages[i].create(vm, err)) {
			destroy_stages(vm, i + 1);
			return -1;
		}
		log_debug("created: %s", stages[i].name);
	}
	return 0;
}

void vm_destroy(struct vm *vm)
{
	destroy_stages(vm, VM_STAGES);
}

/* --- the run --- */

/* A reset that follows a panic is an error. A reset after SIGTERM ends the VM,
 * because whoever sent it wants no new boot; the signal may still wait to be
 * read. */
static void judge_reboot(struct vm *vm)
{
	if (arch_reset_was_panic(&vm->platform)) {
		stop_request(&vm->stop, STOP_ERROR, ERROR_GUEST_PANIC,
			     "the guest kernel panicked");
		return;
	}
	signals_handle_pending(&vm->signals);
	if (vm->shutdown.asked)
		shutdown_signal(&vm->shutdown, SIGTERM);
}

void vm_run(struct vm *vm)
{
	struct error err;

	if (iothreads_start(&vm->iothreads, &err) ||
	    vcpus_start(&vm->vcpus, &err))
		stop_request(&vm->stop, STOP_ERROR, err.class, "%s", err.text);
	event_loop_run(vm->iothreads.main_loop);
	vcpus_stop(&vm->vcpus);
	iothreads_stop(&vm->iothreads);
	/* whoever ended the VM does not want to wait for a console's reader */
	if (vm->stop.cause.reason != STOP_QUIT)
		consoles_flush(&vm->consoles, vm->signals.source.fd);
	if (vm->stop.cause.reason == STOP_REBOOT)
		judge_reboot(vm);
	disk_reload_stop(&vm->reload);
}
