/*
 * The floor under every virtual machine monitor: the ioctls that cannot be
 * left out, around a guest that ends at once by writing to a register.
 *
 *	floor IMAGE MIB
 *
 * Loads the whole file to the start of memory, enters it there, and exits with
 * 0 after the write. The interrupt controller is made, as any Linux needs one.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY_BASE 0x80000000UL
#define DISTRIBUTOR 0x08000000UL
#define REDISTRIBUTORS 0x080a0000UL
#define IRQS 64
#define RESET_REGISTER 0x09020002UL

static void need(int condition, const char *what)
{
	if (condition)
		return;
	perror(what);
	exit(1);
}

static void load(const char *path, uint8_t *memory, uint64_t size)
{
	int fd = open(path, O_RDONLY);

	need(fd >= 0 && read(fd, memory, size) > 0, path);
	close(fd);
}

static int create_vm(int kvm, uint8_t *memory, uint64_t size)
{
	struct kvm_userspace_memory_region slot = {
		.guest_phys_addr = MEMORY_BASE,
		.memory_size = size,
		.userspace_addr = (uintptr_t)memory,
	};
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);

	need(vm >= 0, "KVM_CREATE_VM");
	need(!ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot),
	     "KVM_SET_USER_MEMORY_REGION");
	return vm;
}

static void set_attr(int gic, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr request = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	need(!ioctl(gic, KVM_SET_DEVICE_ATTR, &request), "KVM_SET_DEVICE_ATTR");
}

static int create_gic(int vm)
{
	const uint64_t distributor = DISTRIBUTOR;
	const uint64_t redistributors = REDISTRIBUTORS;
	const uint32_t irqs = IRQS;
	struct kvm_create_device gic = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };

	need(!ioctl(vm, KVM_CREATE_DEVICE, &gic), "KVM_CREATE_DEVICE");
	set_attr((int)gic.fd, KVM_DEV_ARM_VGIC_GRP_ADDR,
		 KVM_VGIC_V3_ADDR_TYPE_DIST, &distributor);
	set_attr((int)gic.fd, KVM_DEV_ARM_VGIC_GRP_ADDR,
		 KVM_VGIC_V3_ADDR_TYPE_REDIST, &redistributors);
	set_attr((int)gic.fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &irqs);
	return (int)gic.fd;
}

static void init_vcpu(int vm, int vcpu)
{
	uint64_t pc = MEMORY_BASE;
	struct kvm_one_reg reg = {
		.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
		      KVM_REG_ARM_CORE_REG(regs.pc),
		.addr = (uintptr_t)&pc,
	};
	struct kvm_vcpu_init init;

	need(!ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init),
	     "KVM_ARM_PREFERRED_TARGET");
	init.features[0] |= 1U << KVM_ARM_VCPU_PSCI_0_2;
	need(!ioctl(vcpu, KVM_ARM_VCPU_INIT, &init), "KVM_ARM_VCPU_INIT");
	need(!ioctl(vcpu, KVM_SET_ONE_REG, &reg), "KVM_SET_ONE_REG");
}

int main(int argc, char **argv)
{
	uint64_t size = argc == 3 ? strtoull(argv[2], NULL, 10) << 20 : 0;
	struct kvm_run *run;
	uint8_t *memory;
	int kvm, vm, vcpu, gic, run_size;

	if (!size) {
		fputs("usage: floor IMAGE MIB\n", stderr);
		return 64;
	}
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	need(memory != MAP_FAILED, "guest memory");
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	need(kvm >= 0, "/dev/kvm");
	vm = create_vm(kvm, memory, size);
	gic = create_gic(vm);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	need(vcpu >= 0, "KVM_CREATE_VCPU");
	run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   vcpu, 0);
	need(run != MAP_FAILED, "kvm_run");
	init_vcpu(vm, vcpu);
	set_attr(gic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT,
		 NULL);
	load(argv[1], memory, size);
	need(!ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
	if (run->exit_reason == KVM_EXIT_MMIO &&
	    run->mmio.phys_addr == RESET_REGISTER)
		return 0;
	fprintf(stderr, "floor: KVM exit %u\n", run->exit_reason);
	return 1;
}
