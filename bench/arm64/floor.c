/*
 * The floor of arm64: IMAGE is loaded as it is to the start of memory and
 * entered there. The guest ends by a write to a register. The interrupt
 * controller is made, because every Linux needs one.
 */
#include "bench/floor.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MEMORY_BASE 0x80000000UL
#define DISTRIBUTOR 0x08000000UL
#define REDISTRIBUTORS 0x080a0000UL
#define IRQS 64
#define RESET_REGISTER 0x09020002UL

const uint64_t floor_memory_base = MEMORY_BASE;

static int gic;

static void set_attr(uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr request = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	need(!ioctl(gic, KVM_SET_DEVICE_ATTR, &request), "KVM_SET_DEVICE_ATTR");
}

void floor_prepare_vm(const struct floor *floor)
{
	const uint64_t distributor = DISTRIBUTOR;
	const uint64_t redistributors = REDISTRIBUTORS;
	const uint32_t irqs = IRQS;
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };

	need(!ioctl(floor->vm, KVM_CREATE_DEVICE, &device),
	     "KVM_CREATE_DEVICE");
	gic = (int)device.fd;
	set_attr(KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST,
		 &distributor);
	set_attr(KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST,
		 &redistributors);
	set_attr(KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &irqs);
}

static void load(const struct floor *floor)
{
	int fd = open(floor->image, O_RDONLY);

	need(fd >= 0 && read(fd, floor->memory, floor->size) > 0, floor->image);
	close(fd);
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

void floor_prepare_vcpu(const struct floor *floor)
{
	init_vcpu(floor->vm, floor->vcpu);
	set_attr(KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	load(floor);
}

bool floor_guest_ended(const struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_MMIO &&
	       run->mmio.phys_addr == RESET_REGISTER;
}
