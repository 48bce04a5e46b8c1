#include "vmm/machine/arm64/cpu.h"

#include <assert.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "vmm/machine/arch.h"
#include "vmm/machine/arm64/address_map.h"

/* The id of a 64-bit core register in struct kvm_regs. */
#define CORE_REG(member)                                       \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
	 KVM_REG_ARM_CORE_REG(member))
#define MPIDR_EL1 ARM64_SYS_REG(3, 0, 0, 0, 5)
#define MPIDR_AFFINITY 0xff00ffffffULL

#define STEAL_PER_CPU 64 /* bytes (Arm DEN0057, 3.2.2) */
static_assert(CONFIG_CPUS_MAX * STEAL_PER_CPU <= STEAL_SIZE,
	      "stolen time of every CPU");

static int get_reg(int fd, uint64_t id, uint64_t *value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return ioctl(fd, KVM_GET_ONE_REG, &reg);
}

static int set_reg(int fd, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	return ioctl(fd, KVM_SET_ONE_REG, &reg);
}

static bool has_feature(const struct platform *platform, int extension)
{
	return ioctl(platform->vm_fd, KVM_CHECK_EXTENSION, extension) > 0;
}

/* Guests get all features of the host's processor that KVM can give them. */
static void choose_features(const struct vcpu *vcpu, struct kvm_vcpu_init *init)
{
	const struct platform *platform = vcpu->platform;

	init->features[0] |= 1U << KVM_ARM_VCPU_PSCI_0_2;
	if (vcpu->index > 0) /* until the first one starts it */
		init->features[0] |= 1U << KVM_ARM_VCPU_POWER_OFF;
	if (platform->config->arch.pmu)
		init->features[0] |= 1U << KVM_ARM_VCPU_PMU_V3;
	if (has_feature(platform, KVM_CAP_ARM_PTRAUTH_ADDRESS) &&
	    has_feature(platform, KVM_CAP_ARM_PTRAUTH_GENERIC))
		init->features[0] |= 1U << KVM_ARM_VCPU_PTRAUTH_ADDRESS |
				     1U << KVM_ARM_VCPU_PTRAUTH_GENERIC;
	if (has_feature(platform, KVM_CAP_ARM_SVE))
		init->features[0] |= 1U << KVM_ARM_VCPU_SVE;
}

int arch_init_vcpu(struct vcpu *vcpu, struct error *err)
{
	struct platform *platform = vcpu->platform;
	const int sve = KVM_ARM_VCPU_SVE;
	struct kvm_vcpu_init init;
	uint64_t mpidr;

	if (platform->config->arch.pmu &&
	    !has_feature(platform, KVM_CAP_ARM_PMU_V3))
		return error_set(err, ERROR_KVM, 0,
				 "pmu: this host cannot give guests "
				 "performance counters");
	if (ioctl(platform->vm_fd, KVM_ARM_PREFERRED_TARGET, &init))
		return error_set(err, ERROR_KVM, errno,
				 "KVM_ARM_PREFERRED_TARGET");
	choose_features(vcpu, &init);
	if (ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init))
		return error_set(err, ERROR_KVM, errno, "KVM_ARM_VCPU_INIT");
	if ((init.features[0] & 1U << KVM_ARM_VCPU_SVE) &&
	    ioctl(vcpu->fd, KVM_ARM_VCPU_FINALIZE, &sve))
		return error_set(err, ERROR_KVM, errno,
				 "KVM_ARM_VCPU_FINALIZE");
	if (get_reg(vcpu->fd, MPIDR_EL1, &mpidr))
		return error_set(err, ERROR_KVM, errno, "read MPIDR_EL1");
	platform->arch.mpidrs[vcpu->index] = mpidr & MPIDR_AFFINITY;
	return 0;
}

static int vcpu_attr(const struct vcpu *vcpu, unsigned long request,
		     uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr device_attr = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return ioctl(vcpu->fd, request, &device_attr);
}

static int start_pmu(const struct vcpus *vcpus, struct error *err)
{
	const uint32_t group = KVM_ARM_VCPU_PMU_V3_CTRL;
	const int irq = 16 + PMU_PPI;

	for (unsigned i = 0; i < vcpus->count; i++)
		if (vcpu_attr(&vcpus->list[i], KVM_SET_DEVICE_ATTR, group,
			      KVM_ARM_VCPU_PMU_V3_IRQ, &irq) ||
		    vcpu_attr(&vcpus->list[i], KVM_SET_DEVICE_ATTR, group,
			      KVM_ARM_VCPU_PMU_V3_INIT, NULL))
			return error_set(err, ERROR_KVM, errno,
					 "start the PMU");
	return 0;
}

/* KVM writes the stolen time of all vCPUs to a page that the guest can read but
 * that is not listed as RAM. */
static int start_steal_time(struct platform *platform, struct error *err)
{
	const struct vcpus *vcpus = platform->vcpus;
	struct kvm_userspace_memory_region slot = {
		.slot = GUEST_REGIONS_MAX, /* behind all other memory */
		.guest_phys_addr = STEAL_BASE,
		.memory_size = STEAL_SIZE,
		.userspace_addr = (uintptr_t)platform->arch.steal,
	};

	if (vcpu_attr(&vcpus->list[0], KVM_HAS_DEVICE_ATTR,
		      KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, NULL))
		return 0;
	if (ioctl(platform->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot))
		return error_set(err, ERROR_KVM, errno, "stolen time");
	for (unsigned i = 0; i < vcpus->count; i++) {
		const uint64_t at = STEAL_BASE + i * STEAL_PER_CPU;

		if (vcpu_attr(&vcpus->list[i], KVM_SET_DEVICE_ATTR,
			      KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA,
			      &at))
			return error_set(err, ERROR_KVM, errno, "stolen time");
	}
	return 0;
}

int cpu_start_timers(struct platform *platform, struct error *err)
{
	if (platform->config->arch.pmu && start_pmu(platform->vcpus, err))
		return -1;
	return start_steal_time(platform, err);
}

int cpu_set_entry(struct vcpu *vcpu, uint64_t pc, uint64_t tree,
		  struct error *err)
{
	if (set_reg(vcpu->fd, CORE_REG(regs.pc), pc) ||
	    set_reg(vcpu->fd, CORE_REG(regs.regs[0]), tree))
		return error_set(err, ERROR_KVM, errno, "KVM_SET_ONE_REG");
	return 0;
}

/* Shows the instruction only while the guest runs without an MMU, because KVM
 * does not translate addresses for us on this architecture. Guests that fail
 * usually fail there. */
void arch_describe_vcpu(struct vcpu *vcpu, char *text, size_t size)
{
	uint64_t pc, pstate, lr;
	uint32_t instruction;

	if (get_reg(vcpu->fd, CORE_REG(regs.pc), &pc) ||
	    get_reg(vcpu->fd, CORE_REG(regs.pstate), &pstate) ||
	    get_reg(vcpu->fd, CORE_REG(regs.regs[30]), &lr)) {
		snprintf(text, size, "registers unknown");
		return;
	}
	if (guest_read(&vcpu->platform->memory->all, pc, &instruction,
		       sizeof(instruction)))
		snprintf(text, size, "PC %#llx, LR %#llx, PSTATE %#llx",
			 (unsigned long long)pc, (unsigned long long)lr,
			 (unsigned long long)pstate);
	else
		snprintf(text, size,
			 "PC %#llx, instruction %08x, LR %#llx, PSTATE %#llx",
			 (unsigned long long)pc, instruction,
			 (unsigned long long)lr, (unsigned long long)pstate);
}
