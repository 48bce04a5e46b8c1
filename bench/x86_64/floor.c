/*
 * The floor under every virtual machine monitor: the ioctls that cannot be
 * left out, around a guest that ends at once by writing to port 0x64.
 *
 *	floor ELF MIB
 *
 * Loads the program segments, enters the ELF's entry point in 32-bit protected
 * mode as the PVH protocol does, and exits with 0 after the write.
 */
#include <elf.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define TSS_ADDRESS 0xfffbd000UL
#define IDENTITY_MAP_ADDRESS 0xfffbc000UL
#define RESET_PORT 0x64
#define CPUID_ENTRIES 128

static void need(int condition, const char *what)
{
	if (condition)
		return;
	perror(what);
	exit(1);
}

/* Returns the entry point. */
static uint64_t load_elf(const char *path, uint8_t *memory, uint64_t size)
{
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
		need(s->p_paddr <= size && s->p_filesz <= size - s->p_paddr,
		     "segment address");
		need(pread(fd, memory + s->p_paddr, s->p_filesz,
			   (off_t)s->p_offset) == (ssize_t)s->p_filesz,
		     path);
	}
	close(fd);
	return header.e_entry;
}

static int create_vm(int kvm, uint8_t *memory, uint64_t size)
{
	uint64_t identity_map = IDENTITY_MAP_ADDRESS;
	struct kvm_userspace_memory_region slot = {
		.memory_size = size,
		.userspace_addr = (uintptr_t)memory,
	};
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);

	need(vm >= 0, "KVM_CREATE_VM");
	need(!ioctl(vm, KVM_SET_TSS_ADDR, TSS_ADDRESS), "KVM_SET_TSS_ADDR");
	need(!ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map),
	     "KVM_SET_IDENTITY_MAP_ADDR");
	need(!ioctl(vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
	need(!ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot),
	     "KVM_SET_USER_MEMORY_REGION");
	return vm;
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

int main(int argc, char **argv)
{
	uint64_t size = argc == 3 ? strtoull(argv[2], NULL, 10) << 20 : 0;
	struct kvm_run *run;
	uint8_t *memory;
	int kvm, vm, vcpu, run_size;

	if (!size) {
		fputs("usage: floor ELF MIB\n", stderr);
		return 64;
	}
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	need(memory != MAP_FAILED, "guest memory");
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	need(kvm >= 0, "/dev/kvm");
	vm = create_vm(kvm, memory, size);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	need(vcpu >= 0, "KVM_CREATE_VCPU");
	run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   vcpu, 0);
	need(run != MAP_FAILED, "kvm_run");
	pass_cpuid_through(kvm, vcpu);
	set_registers(vcpu, load_elf(argv[1], memory, size));
	need(!ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
	if (run->exit_reason == KVM_EXIT_IO && run->io.port == RESET_PORT)
		return 0;
	fprintf(stderr, "floor: KVM exit %u\n", run->exit_reason);
	return 1;
}
