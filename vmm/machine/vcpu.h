/* A vCPU: its KVM descriptor and the thread that runs it.
 *
 * The thread enters the guest until the VM stops, handing port and memory
 * accesses to the two buses. It owns nothing but itself; stopping is asked
 * for by vcpu_kick() from any thread.
 */
#pragma once

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"

struct vm;

struct vcpu {
	struct vm *vm;
	unsigned index;
	int fd;
	struct kvm_run *run; /* shared with KVM, run_size bytes */
	size_t run_size;
	pthread_t thread;
	bool started;
};

int vcpu_create(struct vcpu *vcpu, struct vm *vm, unsigned index,
		struct error *err);
int vcpu_start(struct vcpu *vcpu, struct error *err);

/* Makes the thread leave the guest and look whether the VM has stopped or is
 * paused. Until vcpu_unkick() it does not enter again. */
void vcpu_kick(struct vcpu *vcpu);
void vcpu_unkick(struct vcpu *vcpu);
void vcpu_join(struct vcpu *vcpu);
void vcpu_destroy(struct vcpu *vcpu);
