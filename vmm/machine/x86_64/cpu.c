/* CPUID, MSRs and registers of an x86-64 vCPU (Intel SDM volumes 2 and 3,
 * AMD APM volumes 2 and 3, Linux Documentation/virt/kvm/x86/cpuid.rst). */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "vmm/machine/arch.h"
#include "vmm/machine/platform.h"
#include "vmm/machine/vcpu.h"
#include "vmm/machine/x86_64/cpu.h"

/* --- CPUID --- */

#define CPUID_ENTRIES_MAX 128

#define LEAF1_ECX_VMX (1U << 5)
#define LEAF1_ECX_TSC_DEADLINE (1U << 24)
#define LEAF1_ECX_HYPERVISOR (1U << 31)
#define LEAF1_EDX_HTT (1U << 28)

#define AMD_LEAF1 0x80000001
#define AMD_LEAF1_ECX_SVM (1U << 2)

#define KVM_LEAF_SIGNATURE 0x40000000
#define TIMING_LEAF 0x40000010 /* EAX: TSC kHz, EBX: APIC bus kHz */
#define APIC_BUS_KHZ 1000000   /* KVM's APIC timer counts nanoseconds */

/* How many bits the numbers 0 to count - 1 take. */
static unsigned bits_for(unsigned count)
{
	return count > 1 ? 32 - (unsigned)__builtin_clz(count - 1) : 0;
}

/* One package of single-threaded cores, APIC ids 0 to cpus - 1. */
static void set_topology(struct kvm_cpuid_entry2 *e, unsigned cpus,
			 unsigned apic_id)
{
	unsigned bits = bits_for(cpus);

	switch (e->function) {
	case 0x1:
		e->ebx = (e->ebx & 0xffff) | cpus << 16 | apic_id << 24;
		e->edx &= ~LEAF1_EDX_HTT;
		if (cpus > 1)
			e->edx |= LEAF1_EDX_HTT;
		break;
	case 0x4: /* caches: level 3 is shared by all, the others by none */
		e->eax &= 0x3fff;
		if ((e->eax >> 5 & 7) == 3)
			e->eax |= ((1U << bits) - 1) << 14;
		if (e->eax & 0x1f)
			e->eax |= ((1U << bits) - 1) << 26;
		break;
	case 0xb:
		e->edx = apic_id;
		break;
	case 0x80000008: /* AMD: cores and bits of the core id */
		e->ecx = bits << 12 | (cpus - 1);
		break;
	case 0x8000001d: /* AMD caches, as leaf 4 */
		e->eax &= 0x3fff;
		if ((e->eax >> 5 & 7) == 3)
			e->eax |= (cpus - 1) << 14;
		break;
	case 0x8000001e: /* AMD: extended APIC id, core id, node id */
		e->eax = apic_id;
		e->ebx = apic_id;
		e->ecx = 0;
		break;
	}
}

/* Replaces the topology leaf 0xb, which a host may lack, or fill with its own
 * topology. Removes the newer leaf 0x1f, which guests would read first. */
static void replace_topology_leaf(struct kvm_cpuid2 *cpuid, unsigned cpus)
{
	const struct kvm_cpuid_entry2 levels[] = {
		/* threads of a core */
		{ .ecx = 1 << 8, .ebx = 1 },
		/* cores of the package */
		{ .ecx = 2 << 8 | 1, .ebx = cpus, .eax = bits_for(cpus) },
		{ .ecx = 2 }, /* no more */
	};
	unsigned kept = 0;

	for (unsigned i = 0; i < cpuid->nent; i++) {
		uint32_t function = cpuid->entries[i].function;

		if (function != 0xb && function != 0x1f)
			cpuid->entries[kept++] = cpuid->entries[i];
	}
	for (unsigned i = 0; i < ARRAY_SIZE(levels); i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[kept++];

		*e = levels[i];
		e->function = 0xb;
		e->index = i;
		e->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	}
	cpuid->nent = kept;
}

struct kvm_cpuid2 *cpu_read_cpuid(int kvm_fd, unsigned cpus, struct error *err)
{
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + (CPUID_ENTRIES_MAX + 4) *
						   sizeof(cpuid->entries[0]));

	if (!cpuid) {
		error_set(err, ERROR_KVM, ENOMEM, "CPUID");
		return NULL;
	}
	cpuid->nent = CPUID_ENTRIES_MAX;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid)) {
		error_set(err, ERROR_KVM, errno, "KVM_GET_SUPPORTED_CPUID");
		free(cpuid);
		return NULL;
	}
	replace_topology_leaf(cpuid, cpus);
	return cpuid;
}

static void add_timing_leaf(struct kvm_cpuid2 *cpuid, uint32_t tsc_khz)
{
	for (unsigned i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == KVM_LEAF_SIGNATURE)
			cpuid->entries[i].eax = TIMING_LEAF;
	cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){
		.function = TIMING_LEAF,
		.eax = tsc_khz,
		.ebx = APIC_BUS_KHZ,
	};
}

static void set_features(struct kvm_cpuid_entry2 *e)
{
	/* No nested virtualization: nothing here needs it, and KVM's code for
	 * it is large and open to attack by a guest that may use it. */
	if (e->function == AMD_LEAF1)
		e->ecx &= ~AMD_LEAF1_ECX_SVM;
	if (e->function != 0x1)
		return;
	e->ecx &= ~LEAF1_ECX_VMX;
	/* KVM's APIC always has the deadline timer, but KVM does not list it */
	e->ecx |= LEAF1_ECX_HYPERVISOR | LEAF1_ECX_TSC_DEADLINE;
}

static int set_cpuid(struct vcpu *vcpu, struct error *err)
{
	struct platform *platform = vcpu->platform;
	unsigned cpus = (unsigned)platform->config->cpus;
	struct kvm_cpuid2 *cpuid = platform->arch.cpuid;
	int tsc_khz = 0;

	if (vcpu->index == 0) /* the leaf serves all of them */
		tsc_khz = ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0);
	if (tsc_khz > 0)
		add_timing_leaf(cpuid, (uint32_t)tsc_khz);
	for (unsigned i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		set_topology(e, cpus, vcpu->index);
		set_features(e);
	}
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid))
		return error_set(err, ERROR_KVM, errno, "KVM_SET_CPUID2");
	return 0;
}

/* --- MSRs --- */

#define MSR_IA32_MISC_ENABLE 0x1a0
#define MISC_ENABLE_FAST_STRING 1
#define MSR_MTRR_DEF_TYPE 0x2ff
#define MTRR_ENABLED_WRITE_BACK 0x806

static int set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value,
		   struct error *err)
{
	union {
		struct kvm_msrs msrs;
		uint8_t room[sizeof(struct kvm_msrs) +
			     sizeof(struct kvm_msr_entry)];
	} one = { .msrs.nmsrs = 1 };
	int set;

	one.msrs.entries[0].index = index;
	one.msrs.entries[0].data = value;
	set = ioctl(vcpu->fd, KVM_SET_MSRS, &one.msrs);
	if (set == 1)
		return 0;
	return error_set(err, ERROR_KVM, set < 0 ? errno : 0,
			 "KVM_SET_MSRS: KVM refuses %#llx for MSR %#x",
			 (unsigned long long)value, index);
}

static int set_msrs(struct vcpu *vcpu, struct error *err)
{
	if (set_msr(vcpu, MSR_IA32_MISC_ENABLE, MISC_ENABLE_FAST_STRING, err))
		return -1;
	return set_msr(vcpu, MSR_MTRR_DEF_TYPE, MTRR_ENABLED_WRITE_BACK, err);
}

/* --- registers --- */

#define CR0_PE (1U << 0)
#define CR0_ET (1U << 4)
#define CR0_PG (1U << 31)
#define CR4_PAE (1U << 5)
#define EFER_LME (1U << 8)
#define EFER_LMA (1U << 10)

#define SEGMENT_TSS_BUSY 11 /* a system type */

struct kvm_segment cpu_flat_segment(uint16_t selector, uint8_t type,
				    bool code64)
{
	return (struct kvm_segment){
		.selector = selector,
		.type = type,
		.limit = 0xffffffff,
		.present = 1,
		.s = 1,
		.l = code64,
		.db = !code64,
		.g = 1,
	};
}

int cpu_set_registers(struct vcpu *vcpu, const struct x86_64_entry *entry,
		      struct error *err)
{
	bool long_mode = entry->protocol == KERNEL_LINUX64;
	struct kvm_segment data =
		cpu_flat_segment(entry->data_selector, SEGMENT_DATA, false);
	struct kvm_regs regs = {
		.rip = entry->rip,
		.rsp = entry->rsp,
		.rsi = entry->rsi,
		.rbx = entry->rbx,
		.rflags = 2,
	};
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return error_set(err, ERROR_KVM, errno, "KVM_GET_SREGS");
	sregs.cs =
		cpu_flat_segment(entry->code_selector, SEGMENT_CODE, long_mode);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.tr = (struct kvm_segment){
		.selector = entry->task_selector,
		.type = SEGMENT_TSS_BUSY,
		.limit = 0x67,
		.present = 1,
	};
	sregs.gdt.base = entry->gdt_base;
	sregs.gdt.limit = entry->gdt_limit;
	sregs.idt = (struct kvm_dtable){ 0 };
	sregs.cr0 = CR0_PE | CR0_ET;
	if (long_mode) {
		sregs.cr0 |= CR0_PG;
		sregs.cr3 = entry->cr3;
		sregs.cr4 |= CR4_PAE;
		sregs.efer |= EFER_LME | EFER_LMA;
	}
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs))
		return error_set(err, ERROR_KVM, errno, "KVM_SET_SREGS");
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs))
		return error_set(err, ERROR_KVM, errno, "KVM_SET_REGS");
	return 0;
}

int arch_init_vcpu(struct vcpu *vcpu, struct error *err)
{
	return set_cpuid(vcpu, err) ? -1 : set_msrs(vcpu, err);
}

/* --- diagnosis --- */

/* Copies the bytes at RIP, and returns how many: KVM's copy if it gives one,
 * else what the guest's page tables lead to. */
static size_t instruction_bytes(struct vcpu *vcpu, uint64_t rip, uint8_t *bytes,
				size_t max)
{
	struct kvm_run *run = vcpu->run;
	struct kvm_translation address = { .linear_address = rip };

	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
	    run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION &&
	    run->emulation_failure.ndata >= 3 &&
	    (run->emulation_failure.flags &
	     KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
		size_t len = run->emulation_failure.insn_size;

		if (len > sizeof(run->emulation_failure.insn_bytes))
			len = sizeof(run->emulation_failure.insn_bytes);
		if (len > max)
			len = max;
		memcpy(bytes, run->emulation_failure.insn_bytes, len);
		return len;
	}
	if (ioctl(vcpu->fd, KVM_TRANSLATE, &address) || !address.valid)
		return 0;
	/* the translation holds for this page only */
	if (max > 0x1000 - (rip & 0xfff))
		max = 0x1000 - (rip & 0xfff);
	return guest_read(&vcpu->platform->memory->all,
			  address.physical_address, bytes, max)
		       ? 0
		       : max;
}

void arch_describe_vcpu(struct vcpu *vcpu, char *text, size_t size)
{
	struct kvm_regs regs;
	uint8_t bytes[15]; /* the longest instruction */
	size_t len, used;

	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs)) {
		snprintf(text, size, "registers unknown");
		return;
	}
	len = instruction_bytes(vcpu, regs.rip, bytes, sizeof(bytes));
	used = (size_t)snprintf(text, size, "RIP %#llx, bytes",
				(unsigned long long)regs.rip);
	for (size_t i = 0; i < len && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, " %02x",
					 bytes[i]);
	if (!len && used < size)
		snprintf(text + used, size - used, " unreadable");
}
