#include "vmm/machine/vm.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/container_of.h"
#include "base/log.h"
#include "devices/console/virtio_console.h"
#include "vmm/machine/cmdline.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/memory.h"

/* --- stopping --- */

void vm_stop(struct vm *vm, enum vm_stop_reason reason, int exit_code,
	     const char *fmt, ...)
{
	struct vm_stop stop = { .reason = reason, .exit_code = exit_code };
	va_list args;
	bool counts;

	va_start(args, fmt);
	vsnprintf(stop.text, sizeof(stop.text), fmt, args);
	va_end(args);

	pthread_mutex_lock(&vm->stop_lock);
	counts =
		vm->stop.reason == VM_STOP_NONE ||
		(vm->stop.reason == VM_STOP_REBOOT && reason != VM_STOP_REBOOT);
	if (counts) {
		vm->stop = stop;
		atomic_store(&vm->stopping, true);
	}
	pthread_mutex_unlock(&vm->stop_lock);
	if (!counts)
		return;
	if (reason == VM_STOP_REBOOT) /* which a guest can do for ever */
		log_guest(LOG_INFO, "stopping: %s", stop.text);
	else
		log_info("stopping: %s", stop.text);
	event_loop_stop(vm->loop);
}

static void on_power_off(void *ctx, uint8_t exit_code)
{
	vm_stop(ctx, VM_STOP_POWEROFF, exit_code, "the guest powered off");
}

static void on_reset(void *ctx)
{
	vm_stop(ctx, VM_STOP_REBOOT, 0, "the guest reset the machine");
}

static void on_boot_mark(void *ctx)
{
	struct vm *vm = ctx;

	timeline_mark(vm->timeline, TIMELINE_USER_SPACE);
}

static const struct power_ops power_ops = {
	.power_off = on_power_off,
	.reset = on_reset,
	.boot_mark = on_boot_mark,
};

static void on_console_quit(void *ctx)
{
	vm_stop(ctx, VM_STOP_QUIT, 0, "Ctrl-A x");
}

/* --- pausing --- */

void vm_enter_vcpu(struct vm *vm)
{
	pthread_mutex_lock(&vm->pause_lock);
	vm->running++;
	pthread_mutex_unlock(&vm->pause_lock);
}

void vm_leave_vcpu(struct vm *vm)
{
	pthread_mutex_lock(&vm->pause_lock);
	vm->running--;
	pthread_cond_broadcast(&vm->pause_changed);
	pthread_mutex_unlock(&vm->pause_lock);
}

void vm_wait_while_paused(struct vm *vm)
{
	if (!atomic_load(&vm->paused))
		return;
	vm_leave_vcpu(vm);
	pthread_mutex_lock(&vm->pause_lock);
	while (atomic_load(&vm->paused))
		pthread_cond_wait(&vm->pause_changed, &vm->pause_lock);
	vm->running++;
	pthread_mutex_unlock(&vm->pause_lock);
}

void vm_pause(struct vm *vm)
{
	atomic_store(&vm->paused, true);
	for (unsigned i = 0; i < vm->config->cpus; i++)
		vcpu_kick(&vm->vcpus[i]);
	pthread_mutex_lock(&vm->pause_lock);
	while (vm->running > 0)
		pthread_cond_wait(&vm->pause_changed, &vm->pause_lock);
	pthread_mutex_unlock(&vm->pause_lock);
}

void vm_resume(struct vm *vm)
{
	for (unsigned i = 0; i < vm->config->cpus; i++)
		vcpu_unkick(&vm->vcpus[i]);
	pthread_mutex_lock(&vm->pause_lock);
	atomic_store(&vm->paused, false);
	pthread_cond_broadcast(&vm->pause_changed);
	pthread_mutex_unlock(&vm->pause_lock);
}

/* --- signals --- */

static void quit_by_signal(struct vm *vm, int signal)
{
	vm_stop(vm, VM_STOP_QUIT, 128 + signal, "%s", strsignal(signal));
}

static void on_stop_timeout(struct event_source *source, uint32_t events)
{
	struct vm *vm = container_of(source, struct vm, stop_timer);

	(void)events;
	event_loop_remove(vm->loop, source);
	log_warn("the guest did not power off in %llu s",
		 (unsigned long long)vm->config->stop_timeout);
	quit_by_signal(vm, SIGTERM);
}

static int start_stop_timer(struct vm *vm)
{
	struct itimerspec timeout = {
		.it_value.tv_sec = (time_t)vm->config->stop_timeout,
	};

	vm->stop_timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (vm->stop_timer.fd < 0 ||
	    timerfd_settime(vm->stop_timer.fd, 0, &timeout, NULL))
		return -1;
	return event_loop_add(vm->loop, &vm->stop_timer, EPOLLIN);
}

/* Somebody wants to write to the kernel's file, and waits for us. */
static void let_kernel_go(struct vm *vm)
{
	struct error err;

	vm_pause(vm);
	if (load_detach(&vm->kernel_pages, &err))
		vm_stop(vm, VM_STOP_ERROR, err.class, "%s", err.text);
	vm_resume(vm);
	vm->kernel_pages = (struct load_mapping){ 0 };
	resources_release_kernel(vm->resources);
}

/* SIGTERM presses the power button and gives the guest time; a second one, or
 * any other of the signals, ends the VM at once. So does the first where there
 * is no button: waiting would bring nothing. */
static void handle_stop(struct vm *vm, int signal)
{
	if (signal != SIGTERM || vm->stop_asked || !vm->config->stop_timeout ||
	    !arch_press_power_button(vm) || start_stop_timer(vm)) {
		quit_by_signal(vm, signal);
		return;
	}
	vm->stop_asked = true;
}

static void on_signal(struct event_source *source, uint32_t events)
{
	struct vm *vm = container_of(source, struct vm, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (read(source->fd, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case RESOURCES_LEASE_SIGNAL:
		let_kernel_go(vm);
		break;
	case DISK_RELOAD_SIGNAL:
		disk_reload_start(vm);
		break;
	default:
		handle_stop(vm, (int)info.ssi_signo);
	}
}

static const int handled[] = {
	SIGTERM,
	SIGINT,
	SIGHUP,
	SIGQUIT,
	RESOURCES_LEASE_SIGNAL,
	DISK_RELOAD_SIGNAL,
};

static sigset_t handled_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_SIZE(handled); i++)
		sigaddset(&set, handled[i]);
	return set;
}

void vm_block_signals(void)
{
	sigset_t set = handled_signals();

	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* a console whose reader goes away must not take the VM with it, nor
	 * a file that may not grow any more (ulimit -f) */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

static int watch_signals(struct vm *vm, struct error *err)
{
	sigset_t set = handled_signals();

	vm->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	vm->signals.ready = on_signal;
	if (vm->signals.fd < 0 ||
	    event_loop_add(vm->loop, &vm->signals, EPOLLIN))
		return error_set(err, ERROR_IO, errno, "watch signals");
	return 0;
}

static void unwatch_signals(struct vm *vm)
{
	disk_reload_stop(vm);
	cleanup_close(&vm->signals.fd);
	cleanup_close(&vm->stop_timer.fd);
}

/* --- stages --- */

static int create_loop(struct vm *vm, struct error *err)
{
	vm->loop = event_loop_create(err);
	return vm->loop ? 0 : -1;
}

static void destroy_loop(struct vm *vm)
{
	event_loop_destroy(vm->loop);
}

static int create_kvm(struct vm *vm, struct error *err)
{
	int kvm_fd = vm->resources->kvm_fd;
	unsigned long type;

	if (arch_vm_type(kvm_fd, vm->layout, &type, err))
		return -1;
	vm->fd = kvm_create_vm(kvm_fd, type, err);
	return vm->fd < 0 ? -1 : 0;
}

/* Where another boot follows, the VM has to be gone first: how many of them
 * wait for their end must not be up to the guest, and KVM says so in the host's
 * log when there are two for one process and descriptor. */
static void destroy_kvm(struct vm *vm)
{
	if (vm->stop.reason == VM_STOP_REBOOT && !vm->config->no_reboot)
		cleanup_close(&vm->fd);
	else
		kvm_close_vm(vm->fd);
}

struct irq_line vm_irq_line(const struct vm *vm, uint32_t gsi)
{
	return (struct irq_line){
		.fd = vm->fd,
		.gsi = gsi,
		.raise = arch_raise_irq,
	};
}

static int create_platform(struct vm *vm, struct error *err)
{
	/* before anything can fail, so that destroy_platform() finds them */
	serial_init(&vm->serial, (struct irq_line){ .fd = -1 },
		    &console_backend, vm->resources->console);
	power_init(&vm->power, (struct irq_line){ .fd = -1 }, &power_ops, vm);
	return arch_create_devices(vm, err);
}

static void destroy_platform(struct vm *vm)
{
	power_destroy(&vm->power);
	serial_destroy(&vm->serial);
}

static int load_kernel(struct vm *vm, struct error *err)
{
	autofree char *cmdline = cmdline_build(vm->config, vm->layout, err);

	if (!cmdline || arch_load(vm, cmdline, err))
		return -1;
	log_guest(LOG_INFO, "command line: %s", cmdline);
	timeline_mark(vm->timeline, TIMELINE_KERNEL_LOADED);
	return 0;
}

static int create_vcpus(struct vm *vm, struct error *err)
{
	vm->vcpus = calloc(vm->config->cpus, sizeof(*vm->vcpus));
	if (!vm->vcpus)
		return error_set(err, ERROR_IO, ENOMEM, "vCPUs");
	for (unsigned i = 0; i < vm->config->cpus; i++)
		vm->vcpus[i].fd = -1;
	for (unsigned i = 0; i < vm->config->cpus; i++)
		if (vcpu_create(&vm->vcpus[i], vm, i, err))
			return -1;
	return 0;
}

static void destroy_vcpus(struct vm *vm)
{
	for (unsigned i = 0; vm->vcpus && i < vm->config->cpus; i++)
		vcpu_destroy(&vm->vcpus[i]);
	free(vm->vcpus);
}

static void on_passt_failed(void *ctx, const char *why)
{
	vm_stop(ctx, VM_STOP_ERROR, ERROR_IO, "net user: passt: %s", why);
}

static int watch_helpers(struct vm *vm, struct error *err)
{
	for (unsigned i = 0; i < vm->config->net_count; i++) {
		struct passt *passt = vm->resources->nets[i].passt;

		if (passt &&
		    passt_watch(passt, vm->loop, on_passt_failed, vm, err))
			return -1;
	}
	return 0;
}

static void unwatch_helpers(struct vm *vm)
{
	for (unsigned i = 0; i < vm->config->net_count; i++)
		if (vm->resources->nets[i].passt)
			passt_unwatch(vm->resources->nets[i].passt);
}

static int attach_consoles(struct vm *vm, struct error *err)
{
	struct console_port port = serial_console_port(&vm->serial);

	if (console_attach(vm->resources->console, &port, vm->loop,
			   on_console_quit, vm, err))
		return -1;
	if (!vm->hvc)
		return 0;
	port = virtio_console_port(vm->hvc);
	return console_attach(vm->resources->hvc, &port, vm->loop,
			      on_console_quit, vm, err);
}

static void detach_consoles(struct vm *vm)
{
	console_detach(vm->resources->hvc);
	console_detach(vm->resources->console);
}

static void flush_consoles(struct vm *vm)
{
	console_flush(vm->resources->console, vm->signals.fd);
	console_flush(vm->resources->hvc, vm->signals.fd);
}

/* In this order; undone in reverse. Each destroy also takes what a failed
 * create left half done. vCPUs want the interrupt controller, and its lines
 * want vCPUs. Memory comes after the controller: the other way round, KVM takes
 * 10 ms longer to close the VM. */
static const struct {
	const char *name;
	int (*create)(struct vm *vm, struct error *err);
	void (*destroy)(struct vm *vm);
} stages[] = {
	{ "event loop", create_loop, destroy_loop },
	{ "VM", create_kvm, destroy_kvm },
	{ "interrupt controller", arch_create_irqchip, arch_destroy },
	{ "memory", memory_create, memory_destroy },
	{ "vCPUs", create_vcpus, destroy_vcpus },
	{ "platform", create_platform, destroy_platform },
	{ "I/O threads", NULL, iothreads_destroy },
	{ "virtio devices", machine_create_devices, machine_destroy_devices },
	{ "kernel", load_kernel, NULL },
	{ "signals", watch_signals, unwatch_signals },
	{ "helpers", watch_helpers, unwatch_helpers },
	{ "consoles", attach_consoles, detach_consoles },
};

static void destroy_stages(struct vm *vm, unsigned count)
{
	while (count-- > 0)
		if (stages[count].destroy)
			stages[count].destroy(vm);
	disk_reload_destroy(&vm->reload);
	pthread_cond_destroy(&vm->pause_changed);
	pthread_mutex_destroy(&vm->pause_lock);
	pthread_mutex_destroy(&vm->stop_lock);
}

int vm_create(struct vm *vm, const struct vm_config *config,
	      const struct vm_layout *layout, struct resources *resources,
	      struct timeline *timeline, struct error *err)
{
	*vm = (struct vm){
		.config = config,
		.layout = layout,
		.resources = resources,
		.timeline = timeline,
		.fd = -1,
		.memory_fd = -1,
		.signals.fd = -1,
		.stop_timer = { .fd = -1, .ready = on_stop_timeout },
	};
	pthread_mutex_init(&vm->stop_lock, NULL);
	pthread_mutex_init(&vm->pause_lock, NULL);
	pthread_cond_init(&vm->pause_changed, NULL);
	disk_reload_init(&vm->reload);
	for (unsigned i = 0; i < ARRAY_SIZE(stages); i++) {
		if (stages[i].create && stages[i].create(vm, err)) {
			destroy_stages(vm, i + 1);
			return -1;
		}
		log_debug("created: %s", stages[i].name);
	}
	return 0;
}

void vm_destroy(struct vm *vm)
{
	destroy_stages(vm, ARRAY_SIZE(stages));
}

static int start_threads(struct vm *vm, struct error *err)
{
	if (iothreads_start(vm, err))
		return -1;
	for (unsigned i = 0; i < vm->config->cpus; i++)
		if (vcpu_start(&vm->vcpus[i], err))
			return -1;
	return 0;
}

static void stop_vcpus(struct vm *vm)
{
	for (unsigned i = 0; i < vm->config->cpus; i++)
		vcpu_kick(&vm->vcpus[i]);
	for (unsigned i = 0; i < vm->config->cpus; i++)
		vcpu_join(&vm->vcpus[i]);
}

/* A reset that a panic made is none, and one after SIGTERM is the end: whoever
 * sent it wants no new boot. That goes for a signal that nobody has read yet,
 * too. */
static void judge_reboot(struct vm *vm)
{
	if (arch_reset_was_panic(vm)) {
		vm_stop(vm, VM_STOP_ERROR, ERROR_GUEST_PANIC,
			"the guest kernel panicked");
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(handled); i++)
		on_signal(&vm->signals, EPOLLIN);
	if (vm->stop_asked)
		quit_by_signal(vm, SIGTERM);
}

void vm_run(struct vm *vm, struct vm_stop *stop)
{
	struct error err;

	if (start_threads(vm, &err))
		vm_stop(vm, VM_STOP_ERROR, err.class, "%s", err.text);
	event_loop_run(vm->loop);
	stop_vcpus(vm);
	iothreads_stop(vm);
	/* whoever asked for the end does not want to wait for a reader */
	if (vm->stop.reason != VM_STOP_QUIT)
		flush_consoles(vm);
	if (vm->stop.reason == VM_STOP_REBOOT)
		judge_reboot(vm);
	*stop = vm->stop;
}
