/* The vCPUs of a VM: a KVM descriptor and a thread each.
 *
 * A thread enters the guest until the VM stops, and hands the guest's accesses
 * to the buses. All vCPUs can be made to stand still for a while.
 */
#pragma once

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"

struct platform;
struct vcpus;

struct vcpu {
	struct vcpus *all;
	struct platform *platform;
	unsigned index;
	int fd;
	struct kvm_run *run; /* shared with KVM, run_size bytes */
	size_t run_size;
	pthread_t thread;
	bool started;
};

struct vcpus {
	unsigned count;
	struct vcpu *list;
	pthread_mutex_t lock; /* of `running` */
	pthread_cond_t changed;
	atomic_bool paused;
	unsigned running; /* threads that neither stand still nor have ended */
};

/* Set-up thread. vcpus_destroy() frees what a failure leaves. */
int vcpus_create(struct vcpus *vcpus, struct platform *platform, unsigned count,
		 struct error *err);
void vcpus_destroy(struct vcpus *vcpus);

int vcpus_start(struct vcpus *vcpus, struct error *err);

/* Makes the threads leave the guest and waits for their end. The VM's stop was
 * requested. */
void vcpus_stop(struct vcpus *vcpus);

/* Makes all of them leave the guest and stand still; lets them go on. Event
 * loop. */
void vcpus_pause(struct vcpus *vcpus);
void vcpus_resume(struct vcpus *vcpus);
