#include "vmm/machine/vm.h"

#include <signal.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "vmm/machine/arch.h"
#include "vmm/machine/cmdline.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/memory_fault.h"

bool vm_boots_again(const struct vm_config *config,
		    const struct stop_cause *cause)
{
	return cause->reason == STOP_REBOOT && !config->no_reboot;
}

/* --- signals --- */

/* Somebody wants to write to the kernel's file, and waits for us. */
static void on_lease_broken(void *ctx)
{
	struct vm *vm = ctx;
	struct error err;

	vcpus_pause(&vm->vcpus);
	if (load_detach(&vm->memory.kernel_pages, &err))
		stop_request(&vm->stop, STOP_ERROR, err.class, "%s", err.text);
	vm->memory.kernel_pages = (struct load_mapping){ 0 };
	vcpus_resume(&vm->vcpus);
	boot_files_release(&vm->resources->boot);
}

static void on_reload_disks(void *ctx)
{
	disk_reload_start(&((struct vm *)ctx)->reload);
}

static void on_stop(void *ctx, int number)
{
	shutdown_signal(&((struct vm *)ctx)->shutdown, number);
}

static const struct signal_ops signal_ops = {
	.stop = on_stop,
	.lease_broken = on_lease_broken,
	.reload_disks = on_reload_disks,
};

/* --- stages --- */

static int create_loop(void *ctx, struct error *err)
{
	struct vm *vm = ctx;

	vm->loop = event_loop_create(err);
	stop_init(&vm->stop, vm->loop);
	return vm->loop ? 0 : -1;
}

static void destroy_loop(void *ctx)
{
	struct vm *vm = ctx;

	stop_destroy(&vm->stop);
	event_loop_destroy(vm->loop);
}

static int create_kvm(void *ctx, struct error *err)
{
	struct vm *vm = ctx;
	int kvm_fd = vm->resources->kvm_fd;
	unsigned long type;

	if (arch_vm_type(kvm_fd, vm->layout, &type, err))
		return -1;
	vm->platform.vm_fd = kvm_create_vm(kvm_fd, type, err);
	return vm->platform.vm_fd < 0 ? -1 : 0;
}

/* Where another boot follows, the VM has to be gone first: how many of them
 * wait for their end must not be up to the guest, and KVM says so in the host's
 * log when there are two for one process and descriptor. */
static void destroy_kvm(void *ctx)
{
	struct vm *vm = ctx;

	if (vm_boots_again(vm->config, &vm->stop.cause))
		cleanup_close(&vm->platform.vm_fd);
	else
		kvm_close_vm(vm->platform.vm_fd);
}

static int create_irqchip(void *ctx, struct error *err)
{
	return arch_create_irqchip(&((struct vm *)ctx)->platform, err);
}

static void destroy_irqchip(void *ctx)
{
	arch_destroy_irqchip(&((struct vm *)ctx)->platform);
}

static int create_memory(void *ctx, struct error *err)
{
	struct vm *vm = ctx;
	struct resources *r = vm->resources;

	if (memory_create(&vm->memory, &vm->config->memory, vm->layout,
			  devices_share_memory(&r->devices), &r->huge_fd,
			  err) ||
	    devices_map(&r->devices, &vm->memory, err) ||
	    kvm_set_memory(vm->platform.vm_fd, &vm->memory.all, err))
		return -1;
	memory_fault_watch(&vm->memory.all, &r->files);
	timeline_mark(r->timeline, TIMELINE_MEMORY_READY);
	return 0;
}

static void destroy_memory(void *ctx)
{
	struct vm *vm = ctx;

	memory_fault_unwatch();
	memory_destroy(&vm->memory, &vm->config->memory,
		       &vm->resources->huge_fd);
}

static int create_vcpus(void *ctx, struct error *err)
{
	struct vm *vm = ctx;

	return vcpus_create(&vm->vcpus, &vm->platform,
			    (unsigned)vm->config->cpus, err);
}

static void destroy_vcpus(void *ctx)
{
	vcpus_destroy(&((struct vm *)ctx)->vcpus);
}

static int create_platform(void *ctx, struct error *err)
{
	struct vm *vm = ctx;

	return platform_create_devices(&vm->platform, &vm->vcpus,
				       vm->resources->console, err);
}

static void destroy_platform(void *ctx)
{
	platform_destroy_devices(&((struct vm *)ctx)->platform);
}

static int create_iothreads(void *ctx, struct error *err)
{
	struct vm *vm = ctx;

	(void)err;
	iothreads_create(&vm->iothreads, vm->loop);
	return 0;
}

static void destroy_iothreads(void *ctx)
{
	iothreads_destroy(&((struct vm *)ctx)->iothreads);
}

static int create_reload(void *ctx, struct error *err)
{
	struct vm *vm = ctx;

	(void)err;
	disk_reload_create(&vm->reload, vm->config, &vm->resources->files,
			   &vm->resources->devices, vm->loop);
	return 0;
}

static void destroy_reload(void *ctx)
{
	disk_reload_destroy(&((struct vm *)ctx)->reload);
}

static int create_devices(void *ctx, struct error *err)
{
	struct vm *vm = ctx;
	const struct kind_machine machine = {
		.config = vm->config,
		.memory = &vm->memory,
		.iothreads = &vm->iothreads,
		.stop = &vm->stop,
	};

	return devices_create(&vm->resources->devices, &machine, &vm->platform,
			      err);
}

static void destroy_devices(void *ctx)
{
	struct vm *vm = ctx;

	devices_destroy(&vm->resources->devices,
			!vm_boots_again(vm->config, &vm->stop.cause));
}

static int load_kernel(void *ctx, struct error *err)
{
	struct vm *vm = ctx;
	autofree char *cmdline = cmdline_build(vm->config, vm->layout, err);

	if (!cmdline || arch_load(&vm->platform, &vm->resources->boot, cmdline,
				  &vm->vcpus.list[0], err))
		return -1;
	log_guest(LOG_INFO, "command line: %s", cmdline);
	timeline_mark(vm->resources->timeline, TIMELINE_KERNEL_LOADED);
	return 0;
}

static int create_shutdown(void *ctx, struct error *err)
{
	struct vm *vm = ctx;

	return shutdown_create(&vm->shutdown, vm->loop, &vm->platform, err);
}

static void destroy_shutdown(void *ctx)
{
	shutdown_destroy(&((struct vm *)ctx)->shutdown);
}

static int watch_signals(void *ctx, struct error *err)
{
	struct vm *vm = ctx;

	return signals_watch(&vm->signals, vm->loop, &signal_ops, vm, err);
}

static void unwatch_signals(void *ctx)
{
	signals_unwatch(&((struct vm *)ctx)->signals);
}

static int attach_consoles(void *ctx, struct error *err)
{
	struct vm *vm = ctx;

	return consoles_attach(&vm->consoles, vm->resources->console,
			       &vm->platform, &vm->resources->devices, vm->loop,
			       err);
}

static void detach_consoles(void *ctx)
{
	consoles_detach(&((struct vm *)ctx)->consoles);
}

/* vCPUs want the interrupt controller, and its lines want vCPUs. Memory comes
 * after the controller: the other way round, KVM takes 10 ms longer to close
 * the VM. Devices may still let go of reloaded disks while they are
 * destroyed. */
const struct stage vm_stages[VM_STAGES] = {
	{ "event loop", create_loop, destroy_loop },
	{ "VM", create_kvm, destroy_kvm },
	{ "interrupt controller", create_irqchip, destroy_irqchip },
	{ "memory", create_memory, destroy_memory },
	{ "vCPUs", create_vcpus, destroy_vcpus },
	{ "platform", create_platform, destroy_platform },
	{ "I/O threads", create_iothreads, destroy_iothreads },
	{ "disk reload", create_reload, destroy_reload },
	{ "virtio devices", create_devices, destroy_devices },
	{ "kernel", load_kernel, NULL },
	{ "shutdown", create_shutdown, destroy_shutdown },
	{ "signals", watch_signals, unwatch_signals },
	{ "consoles", attach_consoles, detach_consoles },
};

void vm_init(struct vm *vm, const struct vm_layout *layout,
	     struct resources *resources)
{
	*vm = (struct vm){
		.config = resources->config,
		.layout = layout,
		.resources = resources,
		.platform = {
			.config = resources->config,
			.layout = layout,
			.timeline = resources->timeline,
			.memory = &vm->memory,
			.stop = &vm->stop,
			.kvm_fd = resources->kvm_fd,
			.vm_fd = -1,
		},
	};
}

int vm_create(struct vm *vm, const struct vm_layout *layout,
	      struct resources *resources, struct error *err)
{
	vm_init(vm, layout, resources);
	return stages_create(vm_stages, VM_STAGES, vm, err);
}

void vm_destroy(struct vm *vm)
{
	stages_destroy(vm_stages, VM_STAGES, vm);
}

/* --- the run --- */

/* A reset that a panic made is no reboot, and one after SIGTERM is the end:
 * whoever sent it wants no new boot. That goes for a signal that nobody has
 * read yet, too. */
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

void vm_run(struct vm *vm, struct stop_cause *cause)
{
	struct error err;

	if (iothreads_start(&vm->iothreads, &err) ||
	    vcpus_start(&vm->vcpus, &err))
		stop_request(&vm->stop, STOP_ERROR, err.class, "%s", err.text);
	event_loop_run(vm->loop);
	vcpus_stop(&vm->vcpus);
	iothreads_stop(&vm->iothreads);
	/* whoever asked for the end does not want to wait for a reader */
	if (vm->stop.cause.reason != STOP_QUIT)
		consoles_flush(&vm->consoles, vm->signals.source.fd);
	if (vm->stop.cause.reason == STOP_REBOOT)
		judge_reboot(vm);
	disk_reload_stop(&vm->reload);
	*cause = vm->stop.cause;
}
