/* ELF-64 as kernels use it: "System V Application Binary Interface", chapters
 * "Object Files" and "Program Loading"; notes of Xen's public/elfnote.h. */
#pragma once

#include <assert.h>
#include <stddef.h>

#include "base/le_types.h"

#define ELF_MAGIC "\177ELF"

enum {
	ELF_CLASS_64 = 2,
	ELF_DATA_LSB = 1,
	ELF_TYPE_EXEC = 2,
	ELF_TYPE_DYN = 3,
	ELF_MACHINE_X86_64 = 62,
	ELF_PT_LOAD = 1,
	ELF_PT_NOTE = 4,
	XEN_ELFNOTE_PHYS32_ENTRY = 18,	  /* notes of "Xen" */
	LINUX_ELFNOTE_BUILD_SALT = 0x100, /* notes of "Linux" */
};

struct elf_header {
	uint8_t magic[4];
	uint8_t class;
	uint8_t data;
	uint8_t ident_rest[10];
	le16_t type;
	le16_t machine;
	le32_t version;
	le64_t entry;
	le64_t phoff;
	le64_t shoff;
	le32_t flags;
	le16_t ehsize;
	le16_t phentsize;
	le16_t phnum;
	le16_t shentsize;
	le16_t shnum;
	le16_t shstrndx;
};

static_assert(sizeof(struct elf_header) == 64, "Elf64_Ehdr");
static_assert(offsetof(struct elf_header, phoff) == 32, "e_phoff");
static_assert(offsetof(struct elf_header, phnum) == 56, "e_phnum");

#define ELF_PF_W 2 /* flags */

struct elf_phdr {
	le32_t type;
	le32_t flags;
	le64_t offset;
	le64_t vaddr;
	le64_t paddr;
	le64_t filesz;
	le64_t memsz;
	le64_t align;
};

static_assert(sizeof(struct elf_phdr) == 56, "Elf64_Phdr");
static_assert(offsetof(struct elf_phdr, paddr) == 24, "p_paddr");

/* Followed by the name and the descriptor, each padded. */
struct elf_note {
	le32_t namesz;
	le32_t descsz;
	le32_t type;
};

static_assert(sizeof(struct elf_note) == 12, "Elf64_Nhdr");
