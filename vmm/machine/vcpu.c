#include "vmm/machine/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/thread.h"
#include "vmm/machine/arch.h"
#include "vmm/machine/vm.h"

/* Its only purpose is to interrupt KVM_RUN. */
#define KICK_SIGNAL SIGUSR1

static void ignore_kick(int signal)
{
	(void)signal;
}

int vcpu_create(struct vcpu *vcpu, struct vm *vm, unsigned index,
		struct error *err)
{
	int size = ioctl(vm->resources->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	*vcpu = (struct vcpu){ .vm = vm, .index = index, .fd = -1 };
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, index);
	if (vcpu->fd < 0)
		return error_set(err, ERROR_KVM, errno, "KVM_CREATE_VCPU %u",
				 index);
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   vcpu->fd, 0);
	if (size <= 0 || run == MAP_FAILED)
		return error_set(err, ERROR_KVM, errno, "map vCPU %u", index);
	vcpu->run = run;
	vcpu->run_size = (size_t)size;
	return arch_init_vcpu(vm, vcpu, err);
}

static void internal_error(struct vcpu *vcpu)
{
	char where[160];

	arch_describe_vcpu(vcpu, where, sizeof(where));
	vm_stop(vcpu->vm, VM_STOP_ERROR, ERROR_KVM_INTERNAL,
		"vCPU %u: KVM internal error %u: %s (does 'onggi doctor' find "
		"this KVM fit?)",
		vcpu->index, vcpu->run->internal.suberror, where);
}

static void handle_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (run->mmio.is_write)
		bus_write(&vcpu->vm->mmio, run->mmio.phys_addr, run->mmio.data,
			  run->mmio.len);
	else
		bus_read(&vcpu->vm->mmio, run->mmio.phys_addr, run->mmio.data,
			 run->mmio.len);
}

static void handle_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		handle_mmio(vcpu);
		return;
	case KVM_EXIT_INTR:
		return;
	case KVM_EXIT_INTERNAL_ERROR:
		internal_error(vcpu);
		return;
	case KVM_EXIT_FAIL_ENTRY:
		vm_stop(vcpu->vm, VM_STOP_ERROR, ERROR_KVM_INTERNAL,
			"vCPU %u: the processor refused to enter the guest, "
			"reason %#llx",
			vcpu->index,
			(unsigned long long)
				run->fail_entry.hardware_entry_failure_reason);
		return;
	}
	if (!arch_handle_exit(vcpu))
		vm_stop(vcpu->vm, VM_STOP_ERROR, ERROR_KVM_INTERNAL,
			"vCPU %u: unexpected KVM exit %u", vcpu->index,
			run->exit_reason);
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct vm *vm = vcpu->vm;
	sigset_t kick;

	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	timeline_mark(vm->timeline, TIMELINE_FIRST_RUN);
	vm_enter_vcpu(vm);
	while (!vm_stopping(vm)) {
		vm_wait_while_paused(vm);
		if (ioctl(vcpu->fd, KVM_RUN, 0) == 0) {
			handle_exit(vcpu);
		} else if (errno != EINTR && errno != EAGAIN) {
			int errnum = errno;
			char where[160];

			arch_describe_vcpu(vcpu, where, sizeof(where));
			vm_stop(vm, VM_STOP_ERROR, ERROR_KVM_INTERNAL,
				"vCPU %u: KVM_RUN: %s: %s", vcpu->index,
				strerror(errnum), where);
		}
	}
	vm_leave_vcpu(vm);
	return NULL;
}

int vcpu_start(struct vcpu *vcpu, struct error *err)
{
	struct sigaction action = { .sa_handler = ignore_kick };
	char name[16];
	int ret;

	sigaction(KICK_SIGNAL, &action, NULL);
	snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
	ret = thread_start(&vcpu->thread, name, vcpu_thread, vcpu);
	if (ret)
		return error_set(err, ERROR_IO, ret, "start vCPU %u",
				 vcpu->index);
	vcpu->started = true;
	return 0;
}

void vcpu_kick(struct vcpu *vcpu)
{
	if (!vcpu->started)
		return;
	/* immediate_exit also catches a thread that is about to enter */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, KICK_SIGNAL);
}

void vcpu_unkick(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

void vcpu_join(struct vcpu *vcpu)
{
	if (vcpu->started)
		pthread_join(vcpu->thread, NULL);
	vcpu->started = false;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, vcpu->run_size);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	vcpu->run = NULL;
	vcpu->fd = -1;
}
