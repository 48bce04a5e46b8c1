/*
 * The floor under every virtual machine monitor: the ioctls that cannot be
 * left out, around a guest that ends at once by writing to a register.
 *
 *	floor IMAGE MIB
 *
 * Loads IMAGE, enters it, and exits with 0 after the write. ARCH/floor.c says
 * what an IMAGE is and which register ends the guest.
 */
#include "bench/floor.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

void need(int condition, const char *what)
{
	if (condition)
		return;
	perror(what);
	exit(1);
}

static void create_vm(struct floor *floor)
{
	struct kvm_userspace_memory_region slot = {
		.guest_phys_addr = floor_memory_base,
		.memory_size = floor->size,
		.userspace_addr = (uintptr_t)floor->memory,
	};

	floor->vm = ioctl(floor->kvm, KVM_CREATE_VM, 0);
	need(floor->vm >= 0, "KVM_CREATE_VM");
	floor_prepare_vm(floor);
	need(!ioctl(floor->vm, KVM_SET_USER_MEMORY_REGION, &slot),
	     "KVM_SET_USER_MEMORY_REGION");
	floor->vcpu = ioctl(floor->vm, KVM_CREATE_VCPU, 0);
	need(floor->vcpu >= 0, "KVM_CREATE_VCPU");
}

int main(int argc, char **argv)
{
	struct floor floor = {
		.image = argv[1],
		.size = argc == 3 ? strtoull(argv[2], NULL, 10) << 20 : 0,
	};
	struct kvm_run *run;

	if (!floor.size) {
		fputs("usage: floor IMAGE MIB\n", stderr);
		return 64;
	}
	floor.memory = mmap(NULL, floor.size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	need(floor.memory != MAP_FAILED, "guest memory");
	floor.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	need(floor.kvm >= 0, "/dev/kvm");
	create_vm(&floor);
	run = mmap(NULL, (size_t)ioctl(floor.kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
		   PROT_READ | PROT_WRITE, MAP_SHARED, floor.vcpu, 0);
	need(run != MAP_FAILED, "kvm_run");
	floor_prepare_vcpu(&floor);
	need(!ioctl(floor.vcpu, KVM_RUN, 0), "KVM_RUN");
	if (floor_guest_ended(run))
		return 0;
	fprintf(stderr, "floor: KVM exit %u\n", run->exit_reason);
	return 1;
}
