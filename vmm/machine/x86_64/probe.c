#include "vmm/machine/probe.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "vmm/machine/x86_64/cpu.h"

#define PML4 0x1000
#define PDPT 0x2000
#define DIRECTORY 0x3000
#define CODE 0x4000
#define DATA 0x5000

#define PRESENT_WRITE 3
#define PAGE_2M 0x80

#define DONE_PORT 0x10

static const struct {
	const char *name;
	uint8_t len;
	uint8_t bytes[8];
} payload[] = {
	{ "FNINIT", 2, { 0xdb, 0xe3 } },
	{ "FWAIT", 1, { 0x9b } },
	{ "CLD", 1, { 0xfc } },
	{ "POPCNT", 4, { 0xf3, 0x0f, 0xb8, 0xc1 } },
	{ "CMPXCHG16B", 4, { 0x48, 0x0f, 0xc7, 0x0f } },
	{ "FXRSTOR64", 5, { 0x48, 0x0f, 0xae, 0x4e, 0x00 } },
	{ "MOV to CR3", 6, { 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8 } },
	{ "OUT", 2, { 0xe6, DONE_PORT } },
};

static void write_payload(uint8_t *memory)
{
	const uint64_t pml4 = PDPT | PRESENT_WRITE;
	const uint64_t pdpt = DIRECTORY | PRESENT_WRITE;
	const uint64_t directory = PRESENT_WRITE | PAGE_2M;
	uint8_t *code = memory + CODE;

	memcpy(memory + PML4, &pml4, sizeof(pml4));
	memcpy(memory + PDPT, &pdpt, sizeof(pdpt));
	memcpy(memory + DIRECTORY, &directory, sizeof(directory));
	for (unsigned i = 0; i < ARRAY_SIZE(payload); i++) {
		memcpy(code, payload[i].bytes, payload[i].len);
		code += payload[i].len;
	}
}

static int set_registers(int vm_fd, int vcpu_fd, struct error *err)
{
	const struct kvm_segment data =
		cpu_flat_segment(16, SEGMENT_DATA, false);
	struct kvm_regs regs = {
		.rip = CODE, .rflags = 2, .rdi = DATA, .rsi = DATA + 0x100
	};
	struct kvm_sregs sregs;

	(void)vm_fd;
	if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs))
		return error_set(err, ERROR_KVM, errno, "KVM_GET_SREGS");
	sregs.cs = cpu_flat_segment(8, SEGMENT_CODE, true);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cr3 = PML4;
	sregs.cr0 = 0x80000011;	       /* PG, ET, PE */
	sregs.cr4 = 1 << 5 | 1 << 9;   /* PAE, OSFXSR */
	sregs.efer = 1 << 8 | 1 << 10; /* LME, LMA */
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) ||
	    ioctl(vcpu_fd, KVM_SET_REGS, &regs))
		return error_set(err, ERROR_KVM, errno, "KVM_SET_SREGS");
	return 0;
}

static const char *instruction_at(uint64_t rip)
{
	uint64_t at = CODE;

	for (unsigned i = 0; i < ARRAY_SIZE(payload); i++) {
		if (rip < at + payload[i].len)
			return payload[i].name;
		at += payload[i].len;
	}
	return "the end";
}

static int judge(int vcpu_fd, const struct kvm_run *run, struct error *err)
{
	struct kvm_regs regs = { 0 };

	if (run->exit_reason == KVM_EXIT_IO && run->io.port == DONE_PORT)
		return 0;
	ioctl(vcpu_fd, KVM_GET_REGS, &regs);
	return error_set(err, ERROR_KVM, 0,
			 "KVM stops at %s when it runs kernel code (exit %u)",
			 instruction_at(regs.rip), run->exit_reason);
}

const struct probe_program probe_program = {
	.base = 0,
	.write = write_payload,
	.enter = set_registers,
	.judge = judge,
};
