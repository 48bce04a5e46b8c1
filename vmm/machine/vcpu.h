/* The vCPUs of a VM, each with a KVM descriptor and a thread.
 *
 * A thread runs the guest until the VM stops, and hands the guest's accesses to
 * the buses. All vCPUs can be made to stand still for a while. Set-up thread,
 * but where another is named.
 */
#pragma once

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"
#include "vmm/config/config.h"

struct platform;

struct vcpu {
	struct platform *platform;
	unsigned index;
	int fd;
	struct kvm_run *run; /* shared with KVM, run_size bytes; NULL: none */
	size_t run_size;
	pthread_t thread;
	bool started;
};

struct vcpus {
	unsigned count;
	struct vcpu list[CONFIG_CPUS_MAX];
	pthread_mutex_t lock; /* of `running` */
	pthread_cond_t changed;
	atomic_bool paused;
	unsigned running; /* threads that may be in the guest */
};

/* Creates vCPUs 0 to count - 1; count is 1 to CONFIG_CPUS_MAX. -1 with err set;
 * vcpus_destroy() frees what a failure leaves. */
int vcpus_create(struct vcpus *vcpus, struct platform *platform, unsigned count,
		 struct error *err);
void vcpus_destroy(struct vcpus *vcpus);

/* Starts the threads. -1 with err set; vcpus_stop() ends those that were
 * started. */
int vcpus_start(struct vcpus *vcpus, struct error *err);

/* Makes the threads leave the guest, and waits for their end. The VM's stop was
 * requested. */
void vcpus_stop(struct vcpus *vcpus);

/* vcpus_pause() returns when all threads have left the guest and stand still;
 * vcpus_resume() lets them go on. Event loop. */
void vcpus_pause(struct vcpus *vcpus);
void vcpus_resume(struct vcpus *vcpus);
