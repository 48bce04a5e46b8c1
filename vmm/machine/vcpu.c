#include "vmm/machine/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "vmm/machine/arch.h"
#include "vmm/machine/platform.h"

/* Interrupts KVM_RUN, and has no other purpose. */
#define KICK_SIGNAL SIGUSR1

static void ignore_kick(int signal)
{
	(void)signal;
}

/* --- the guest's exits --- */

static void handle_mmio(struct vcpu *vcpu)
{
	struct bus *mmio = &vcpu->platform->mmio;
	struct kvm_run *run = vcpu->run;

	if (run->mmio.is_write)
		bus_write(mmio, run->mmio.phys_addr, run->mmio.data,
			  run->mmio.len);
	else
		bus_read(mmio, run->mmio.phys_addr, run->mmio.data,
			 run->mmio.len);
}

static void handle_exit(struct vcpu *vcpu)
{
	struct stop *stop = vcpu->platform->stop;
	struct kvm_run *run = vcpu->run;
	char where[160];

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		handle_mmio(vcpu);
		return;
	case KVM_EXIT_INTR:
		return;
	case KVM_EXIT_INTERNAL_ERROR:
		arch_describe_vcpu(vcpu, where, sizeof(where));
		stop_request(stop, STOP_ERROR, ERROR_KVM_INTERNAL,
			     "vCPU %u: KVM internal error %u: %s ('onggi "
			     "doctor' tests this host's KVM)",
			     vcpu->index, run->internal.suberror, where);
		return;
	case KVM_EXIT_FAIL_ENTRY:
		stop_request(
			stop, STOP_ERROR, ERROR_KVM_INTERNAL,
			"vCPU %u: the processor refused to enter the guest, "
			"reason %#llx",
			vcpu->index,
			(unsigned long long)
				run->fail_entry.hardware_entry_failure_reason);
		return;
	}
	if (!arch_handle_exit(vcpu))
		stop_request(stop, STOP_ERROR, ERROR_KVM_INTERNAL,
			     "vCPU %u: unexpected KVM exit %u", vcpu->index,
			     run->exit_reason);
}

static void handle_run_error(struct vcpu *vcpu, int errnum)
{
	char where[160];

	arch_describe_vcpu(vcpu, where, sizeof(where));
	stop_request(vcpu->platform->stop, STOP_ERROR, ERROR_KVM_INTERNAL,
		     "vCPU %u: KVM_RUN: %s: %s", vcpu->index, strerror(errnum),
		     where);
}

/* --- the thread --- */

static void count_running(struct vcpus *vcpus, int change)
{
	pthread_mutex_lock(&vcpus->lock);
	vcpus->running += (unsigned)change;
	pthread_cond_broadcast(&vcpus->changed);
	pthread_mutex_unlock(&vcpus->lock);
}

static void wait_while_paused(struct vcpus *vcpus)
{
	if (!atomic_load(&vcpus->paused))
		return;
	count_running(vcpus, -1);
	pthread_mutex_lock(&vcpus->lock);
	while (atomic_load(&vcpus->paused))
		pthread_cond_wait(&vcpus->changed, &vcpus->lock);
	vcpus->running++;
	pthread_mutex_unlock(&vcpus->lock);
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct platform *platform = vcpu->platform;
	sigset_t kick;

	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	timeline_mark(platform->timeline, TIMELINE_FIRST_RUN);
	count_running(platform->vcpus, 1);
	while (!stop_is_requested(platform->stop)) {
		wait_while_paused(platform->vcpus);
		if (ioctl(vcpu->fd, KVM_RUN, 0) == 0)
			handle_exit(vcpu);
		else if (errno != EINTR && errno != EAGAIN)
			handle_run_error(vcpu, errno);
	}
	count_running(platform->vcpus, -1);
	return NULL;
}

static int start(struct vcpu *vcpu, struct error *err)
{
	char name[16];
	int ret;

	snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
	ret = thread_start(&vcpu->thread, name, vcpu_thread, vcpu);
	if (ret)
		return error_set(err, ERROR_IO, ret, "start vCPU %u",
				 vcpu->index);
	vcpu->started = true;
	return 0;
}

int vcpus_start(struct vcpus *vcpus, struct error *err)
{
	struct sigaction action = { .sa_handler = ignore_kick };

	sigaction(KICK_SIGNAL, &action, NULL);
	for (unsigned i = 0; i < vcpus->count; i++)
		if (start(&vcpus->list[i], err))
			return -1;
	return 0;
}

/* Makes a thread leave the guest. It does not enter again before unkick(). */
static void kick(struct vcpu *vcpu)
{
	if (!vcpu->started)
		return;
	/* the signal alone would miss a thread that is about to enter */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, KICK_SIGNAL);
}

static void unkick(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

void vcpus_stop(struct vcpus *vcpus)
{
	for (unsigned i = 0; i < vcpus->count; i++)
		kick(&vcpus->list[i]);
	for (unsigned i = 0; i < vcpus->count; i++) {
		if (vcpus->list[i].started)
			pthread_join(vcpus->list[i].thread, NULL);
		vcpus->list[i].started = false;
	}
}

void vcpus_pause(struct vcpus *vcpus)
{
	atomic_store(&vcpus->paused, true);
	for (unsigned i = 0; i < vcpus->count; i++)
		kick(&vcpus->list[i]);
	pthread_mutex_lock(&vcpus->lock);
	while (vcpus->running > 0)
		pthread_cond_wait(&vcpus->changed, &vcpus->lock);
	pthread_mutex_unlock(&vcpus->lock);
}

void vcpus_resume(struct vcpus *vcpus)
{
	for (unsigned i = 0; i < vcpus->count; i++)
		unkick(&vcpus->list[i]);
	pthread_mutex_lock(&vcpus->lock);
	atomic_store(&vcpus->paused, false);
	pthread_cond_broadcast(&vcpus->changed);
	pthread_mutex_unlock(&vcpus->lock);
}

/* --- life --- */

static int create(struct vcpu *vcpu, struct error *err)
{
	struct platform *platform = vcpu->platform;
	int size = ioctl(platform->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	vcpu->fd = ioctl(platform->vm_fd, KVM_CREATE_VCPU, vcpu->index);
	if (vcpu->fd < 0)
		return error_set(err, ERROR_KVM, errno, "KVM_CREATE_VCPU %u",
				 vcpu->index);
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   vcpu->fd, 0);
	if (size <= 0 || run == MAP_FAILED)
		return error_set(err, ERROR_KVM, errno, "map vCPU %u",
				 vcpu->index);
	vcpu->run = run;
	vcpu->run_size = (size_t)size;
	return arch_init_vcpu(vcpu, err);
}

int vcpus_create(struct vcpus *vcpus, struct platform *platform, unsigned count,
		 struct error *err)
{
	*vcpus = (struct vcpus){ 0 };
	pthread_mutex_init(&vcpus->lock, NULL);
	pthread_cond_init(&vcpus->changed, NULL);
	for (unsigned i = 0; i < count; i++) {
		vcpus->list[i] = (struct vcpu){
			.platform = platform,
			.index = i,
			.fd = -1,
		};
		vcpus->count++;
		if (create(&vcpus->list[i], err))
			return -1;
	}
	return 0;
}

void vcpus_destroy(struct vcpus *vcpus)
{
	for (unsigned i = 0; i < vcpus->count; i++) {
		struct vcpu *vcpu = &vcpus->list[i];

		if (vcpu->run)
			munmap(vcpu->run, vcpu->run_size);
		cleanup_close(&vcpu->fd);
	}
	pthread_cond_destroy(&vcpus->changed);
	pthread_mutex_destroy(&vcpus->lock);
}
