/*
 * The floor of x86-64: IMAGE is an ELF, entered in 32-bit protected mode as the
 * PVH protocol does. The guest ends by a write to port 0x64.
 */
#include "bench/floor.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TSS_ADDRESS 0xfffbd000UL
#define IDENTITY_MAP_ADDRESS 0xfffbc000UL
#define RESET_PORT 0x64
#define CPUID_ENTRIES 128

const uint64_t floor_memory_base = 0;

void floor_prepare_vm(const struct floor *floor)
{
	uint64_t identity_map = IDENTITY_MAP_ADDRESS;

	need(!ioctl(floor->vm, KVM_SET_TSS_ADDR, TSS_ADDRESS),
	     "KVM_SET_TSS_ADDR");
	need(!ioctl(floor->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map),
	     "KVM_SET_IDENTITY_MAP_ADDR");
	need(!ioctl(floor->vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
}

/* Returns the entry point. */
static uint64_t load_elf(const struct floor *floor)
{
	const char *path = floor->image;
	Elf64_Phdr segments[8];
	Elf64_Ehdr header;
	int fd = open(path, O_RDONLY);

	need(fd >= 0, path);
	need(pread(fd, &header, sizeof(header), 0) == sizeof(header), path);
	need(header.e_phnum <= 8, "number of segments");
	need(pread(fd, segments, sizeof(segments), (off_t)header.e_phoff) > 0,
	     path);
	for (int i = 0; i < header.e_phnum; i++) {
		const Elf64_Phdr *s = &segments[i];

		if (s->p_type != PT_LOAD)
			continue;
		need(s->p_paddr <= floor->size &&
			     s->p_filesz <= floor->size - s->p_paddr,
		     "segment address");
		need(pread(fd, floor->memory + s->p_paddr, s->p_filesz,
			   (off_t)s->p_offset) == (ssize_t)s->p_filesz,
		     path);
	}
	close(fd);
	return header.e_entry;
}

static void pass_cpuid_through(int kvm, int vcpu)
{
	struct kvm_cpuid2 *cpuid = calloc(
		1, sizeof(*cpuid) + CPUID_ENTRIES * sizeof(cpuid->entries[0]));

	need(cpuid != NULL, "memory");
	cpuid->nent = CPUID_ENTRIES;
	need(!ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid),
	     "KVM_GET_SUPPORTED_CPUID");
	need(!ioctl(vcpu, KVM_SET_CPUID2, cpuid), "KVM_SET_CPUID2");
	free(cpuid);
}

/* Flat segments of 4 GiB, no paging. */
static void set_registers(int vcpu, uint64_t entry)
{
	struct kvm_segment code = { .limit = 0xffffffff,
				    .selector = 0x8,
				    .type = 0xb,
				    .present = 1,
				    .db = 1,
				    .s = 1,
				    .g = 1 };
	struct kvm_segment data = code,
			   task = { .limit = 0x67, .type = 0xb, .present = 1 };
	struct kvm_regs regs = { .rip = entry, .rflags = 2 };
	struct kvm_sregs sregs;

	data.selector = 0x10;
	data.type = 3;
	need(!ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.tr = task;
	sregs.cr0 = 0x11; /* protected mode, extension type */
	need(!ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	need(!ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

void floor_prepare_vcpu(const struct floor *floor)
{
	pass_cpuid_through(floor->kvm, floor->vcpu);
	set_registers(floor->vcpu, load_elf(floor));
}

bool floor_guest_ended(const struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_IO && run->io.port == RESET_PORT;
}
