#include "vmm/machine/probe.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/guest_mem.h"
#include "vmm/machine/arch.h"
#include "vmm/machine/kvm.h"

static int run(int vcpu_fd, const struct kvm_run *run, struct error *err)
{
	int ret;

	do
		ret = ioctl(vcpu_fd, KVM_RUN, 0);
	while (ret && errno == EINTR);
	if (ret)
		return error_set(err, ERROR_KVM, errno, "KVM_RUN");
	return probe_program.judge(vcpu_fd, run, err);
}

static int run_in(int kvm_fd, uint8_t *memory, struct error *err)
{
	const struct vm_layout layout = {
		.ram_count = 1,
		.ram[0] = { probe_program.base, PROBE_SIZE },
	};
	int size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	autoclose int vm_fd = arch_create_vm(kvm_fd, &layout, err);
	autoclose int vcpu_fd = -1;
	struct guest_mem mem = { 0 };
	void *shared;
	int ret = -1;

	if (vm_fd < 0)
		return -1;
	guest_mem_add(&mem, probe_program.base, PROBE_SIZE, memory);
	probe_program.write(memory);
	if (kvm_set_memory(vm_fd, &mem, err))
		return -1;
	vcpu_fd = ioctl(vm_fd, KVM_CREATE_VCPU, 0);
	shared = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      vcpu_fd, 0);
	if (vcpu_fd < 0 || shared == MAP_FAILED)
		return error_set(err, ERROR_KVM, errno, "KVM_CREATE_VCPU");
	if (probe_program.enter(vm_fd, vcpu_fd, err) == 0)
		ret = run(vcpu_fd, shared, err);
	munmap(shared, (size_t)size);
	return ret;
}

int probe_kernel_mode(int kvm_fd, struct error *err)
{
	void *memory = mmap(NULL, PROBE_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int ret;

	if (memory == MAP_FAILED)
		return error_set(err, ERROR_KVM, errno, "map memory");
	ret = run_in(kvm_fd, memory, err);
	munmap(memory, PROBE_SIZE);
	return ret;
}
