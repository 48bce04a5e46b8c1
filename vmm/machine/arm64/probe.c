#include "vmm/machine/probe.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/machine/arm64/layout.h"

/* The first things that a kernel does, then a write to an address where nothing
 * is. */
static const uint32_t payload[] = {
	0xd5384240, /* mrs	x0, CurrentEL */
	0xd5381001, /* mrs	x1, SCTLR_EL1 */
	0xd5181001, /* msr	SCTLR_EL1, x1 */
	0xd508871f, /* tlbi	vmalle1 */
	0xd5033f9f, /* dsb	sy */
	0xd5033fdf, /* isb */
	0xd2a12002, /* mov	x2, #0x9000000 */
	0x39000040, /* strb	w0, [x2] */
	0x14000000, /* b	. */
};
#define DONE_ADDRESS 0x9000000
#define CURRENT_EL1 (1 << 2)

static void write_payload(uint8_t *memory)
{
	memcpy(memory, payload, sizeof(payload));
}

static int enter(int vm_fd, int vcpu_fd, struct error *err)
{
	uint64_t pc = MEMORY_BASE;
	struct kvm_one_reg reg = {
		.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
		      KVM_REG_ARM_CORE_REG(regs.pc),
		.addr = (uintptr_t)&pc,
	};
	struct kvm_vcpu_init init;

	if (ioctl(vm_fd, KVM_ARM_PREFERRED_TARGET, &init) ||
	    ioctl(vcpu_fd, KVM_ARM_VCPU_INIT, &init) ||
	    ioctl(vcpu_fd, KVM_SET_ONE_REG, &reg))
		return error_set(err, ERROR_KVM, errno, "KVM_ARM_VCPU_INIT");
	return 0;
}

static int judge(int vcpu_fd, const struct kvm_run *run, struct error *err)
{
	(void)vcpu_fd;
	if (run->exit_reason == KVM_EXIT_MMIO && run->mmio.is_write &&
	    run->mmio.phys_addr == DONE_ADDRESS &&
	    run->mmio.data[0] == CURRENT_EL1)
		return 0;
	return error_set(err, ERROR_KVM, 0,
			 "KVM does not run kernel code here (KVM exit %u)",
			 run->exit_reason);
}

const struct probe_program probe_program = {
	.base = MEMORY_BASE,
	.write = write_payload,
	.enter = enter,
	.judge = judge,
};
