/* What the tests of boot/ share: files that live in memory, guest memory, and
 * an ELF kernel made to order. Included by test programs only. */
#pragma once

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/guest_mem.h"
#include "boot/kernel.h"
#include "boot/load.h"
#include "boot/x86_64/formats.h"

#define MIB (1024 * 1024)

static inline struct boot_file file_make(const char *name, const void *bytes,
					 size_t len)
{
	struct boot_file file = {
		.fd = memfd_create(name, MFD_CLOEXEC),
		.size = len,
		.name = name,
	};

	assert_true(file.fd >= 0);
	assert_int_equal(write(file.fd, bytes, len), (ssize_t)len);
	return file;
}

/* One region from gpa 0, zeroed. */
static inline struct guest_mem memory_make(uint64_t size)
{
	struct guest_mem mem = { 0 };
	void *host = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(host, MAP_FAILED);
	assert_int_equal(guest_mem_add(&mem, 0, size, host), 0);
	return mem;
}

static inline void memory_free(struct guest_mem *mem)
{
	for (unsigned i = 0; i < mem->count; i++)
		munmap(mem->regions[i].host, mem->regions[i].size);
	mem->count = 0;
}

/* A small vmlinux: one PT_LOAD of 4 KiB at 2 MiB with .bss up to 8 KiB, and a
 * PVH note. Tests bend its fields. */
struct elf_image {
	Elf64_Ehdr header;
	Elf64_Phdr load;
	Elf64_Phdr note;
	uint8_t gap[0x100 - 64 - 2 * 56];
	Elf64_Nhdr pvh;
	char pvh_name[4];
	uint32_t pvh_entry;
	uint8_t pad[0x1000 - 0x100 - 20];
	uint8_t code[0x1000];
};

#define ELF_IMAGE_BASE 0x200000
#define ELF_IMAGE_ENTRY (ELF_IMAGE_BASE + 0x100)
#define ELF_IMAGE_PVH (ELF_IMAGE_BASE + 0x200)

static inline struct elf_image *elf_image_make(void)
{
	struct elf_image *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	e->header = (Elf64_Ehdr){
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_entry = ELF_IMAGE_ENTRY,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
	};
	e->load = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_offset = offsetof(struct elf_image, code),
		.p_vaddr = 0xffffffff80000000 + ELF_IMAGE_BASE,
		.p_paddr = ELF_IMAGE_BASE,
		.p_filesz = sizeof(e->code),
		.p_memsz = 0x2000,
	};
	e->note = (Elf64_Phdr){
		.p_type = PT_NOTE,
		.p_offset = offsetof(struct elf_image, pvh),
		.p_filesz = 20,
		.p_align = 4,
	};
	e->pvh = (Elf64_Nhdr){
		.n_namesz = 4,
		.n_descsz = 4,
		.n_type = XEN_ELFNOTE_PHYS32_ENTRY,
	};
	memcpy(e->pvh_name, "Xen", 4);
	e->pvh_entry = ELF_IMAGE_PVH;
	memset(e->code, 0xc5, sizeof(e->code));
	return e;
}

#define KERNEL_MEMORY (16 * MIB)

/* Loads bytes as a kernel; on failure the text must contain `reason`. */
static inline int load_in(struct guest_mem *mem, const void *bytes, size_t len,
			  enum kernel_protocol want, struct kernel_image *out,
			  const char *reason)
{
	struct boot_file file = file_make("kernel test", bytes, len);
	struct error err = { 0 };
	int rc = kernel_load(&file, mem, want, out, &err);

	close(file.fd);
	if (reason) {
		assert_int_equal(rc, -1);
		assert_int_equal(err.class, ERROR_IMAGE);
		assert_int_equal(strncmp(err.text, "kernel test: ", 13), 0);
		if (!strstr(err.text, reason))
			fail_msg("\"%s\" lacks \"%s\"", err.text, reason);
		assert_null(strchr(err.text, '\n'));
	} else if (rc < 0) {
		fail_msg("%s", err.text);
	}
	return rc;
}

static inline void check_refused(const void *bytes, size_t len,
				 enum kernel_protocol want, const char *reason)
{
	struct guest_mem mem = memory_make(KERNEL_MEMORY);
	struct kernel_image image;

	load_in(&mem, bytes, len, want, &image, reason);
	memory_free(&mem);
}
