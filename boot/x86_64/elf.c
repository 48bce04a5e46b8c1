/* vmlinux: an x86-64 ELF executable, entered by PVH or by the Linux 64-bit
 * boot protocol. It is loaded to its physical addresses and not relocated. */
#include "boot/x86_64/formats.h"

#include <elf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* Linux has 4 or 5; the limit keeps the table on the stack. */
#define ELF_PHDRS_MAX 32

/* Linux has about 500 bytes of notes. */
#define ELF_NOTES_MAX (64 * 1024)

/* COMMAND_LINE_SIZE of x86 is 2048, its NUL included. */
#define ELF_CMDLINE_MAX 2047

/* PVH has 64-bit module addresses, but Xen places all modules below 4 GiB. */
#define ELF_INITRD_MAX 0xffffffff

struct elf_file {
	const struct boot_file *file;
	uint64_t entry;
	unsigned phnum;
	Elf64_Phdr phdrs[ELF_PHDRS_MAX];
};

bool elf_probe(const uint8_t *head, size_t len)
{
	return len >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0;
}

static int elf_check_header(const Elf64_Ehdr *h, struct error *err)
{
	if (h->e_ident[EI_CLASS] != ELFCLASS64)
		return error_image(err, "a 32-bit ELF; wanted: 64-bit");
	if (h->e_ident[EI_DATA] != ELFDATA2LSB)
		return error_image(err,
				   "a big-endian ELF; wanted: little-endian");
	if (h->e_machine != EM_X86_64)
		return error_image(err,
				   "an ELF for machine %u; wanted: x86-64 (%u)",
				   h->e_machine, EM_X86_64);
	if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
		return error_image(err,
				   "an ELF of type %u; wanted: an executable",
				   h->e_type);
	if (h->e_phentsize != sizeof(Elf64_Phdr))
		return error_image(
			err, "ELF program headers of %u bytes; wanted: %zu",
			h->e_phentsize, sizeof(Elf64_Phdr));
	if (h->e_phnum > ELF_PHDRS_MAX)
		return error_image(err, "%u ELF program headers; at most %u",
				   h->e_phnum, ELF_PHDRS_MAX);
	return 0;
}

static int elf_read_headers(struct elf_file *elf, const struct boot_file *file,
			    struct error *err)
{
	Elf64_Ehdr h;

	if (boot_file_read(file, 0, &h, sizeof(h), err) < 0 ||
	    elf_check_header(&h, err) < 0)
		return -1;
	elf->file = file;
	elf->entry = h.e_entry;
	elf->phnum = h.e_phnum;
	return boot_file_read(file, h.e_phoff, elf->phdrs,
			      elf->phnum * sizeof(Elf64_Phdr), err);
}

static bool elf_is_loaded(const Elf64_Phdr *p)
{
	return p->p_type == PT_LOAD && p->p_memsz > 0;
}

static int elf_check_segment(const struct elf_file *elf, unsigned i,
			     const struct guest_mem *mem, struct error *err)
{
	const Elf64_Phdr *p = &elf->phdrs[i];
	uint64_t file_size = elf->file->size;

	if (p->p_filesz > p->p_memsz)
		return error_image(err,
				   "program header %u has more bytes in the "
				   "file than in memory",
				   i);
	if (p->p_offset > file_size || p->p_filesz > file_size - p->p_offset)
		return error_image(
			err,
			"program header %u reaches past the end of the file",
			i);
	if (p->p_paddr < KERNEL_LOWEST)
		return error_image(err,
				   "program header %u loads at %#" PRIx64
				   ", below 1 MiB",
				   i, p->p_paddr);
	/* This also refuses a p_paddr + p_memsz that wraps around. */
	if (!guest_range(mem, p->p_paddr, p->p_memsz))
		return error_image(
			err,
			"program header %u (%" PRIu64 " KiB at %#" PRIx64
			") does not fit into %" PRIu64 " MiB of guest memory",
			i, p->p_memsz >> 10, p->p_paddr,
			guest_mem_size(mem) >> 20);
	return 0;
}

/* Segments must not share memory, or one would write to what another left
 * zero. Those before segment i have been checked. */
static int elf_check_overlap(const struct elf_file *elf, unsigned i,
			     struct error *err)
{
	const Elf64_Phdr *p = &elf->phdrs[i];

	for (unsigned j = 0; j < i; j++) {
		const Elf64_Phdr *other = &elf->phdrs[j];

		if (elf_is_loaded(other) &&
		    p->p_paddr < other->p_paddr + other->p_memsz &&
		    other->p_paddr < p->p_paddr + p->p_memsz)
			return error_image(err,
					   "program headers %u and %u load to "
					   "the same memory",
					   j, i);
	}
	return 0;
}

/* Maps one read-only segment, the kernel's text: a guest never runs most of it
 * and patches little of the rest. */
static int elf_load_segment(const struct boot_file *file,
			    const struct guest_mem *mem, const Elf64_Phdr *p,
			    struct kernel_image *out, struct error *err)
{
	if (p->p_filesz == 0)
		return 0;
	if (p->p_flags & PF_W || out->mapped.len > 0)
		return load_range(mem, p->p_paddr, file, p->p_offset,
				  p->p_filesz, err);
	return load_mapped(mem, p->p_paddr, file, p->p_offset, p->p_filesz,
			   &out->mapped, err);
}

static int elf_load_segments(const struct elf_file *elf,
			     const struct guest_mem *mem,
			     struct kernel_image *out, struct error *err)
{
	out->start = UINT64_MAX;
	for (unsigned i = 0; i < elf->phnum; i++) {
		const Elf64_Phdr *p = &elf->phdrs[i];

		if (!elf_is_loaded(p))
			continue;
		if (elf_check_segment(elf, i, mem, err) < 0 ||
		    elf_check_overlap(elf, i, err) < 0 ||
		    elf_load_segment(elf->file, mem, p, out, err) < 0)
			return -1;
		if (p->p_paddr < out->start)
			out->start = p->p_paddr;
		if (p->p_paddr + p->p_memsz > out->end)
			out->end = p->p_paddr + p->p_memsz;
	}
	if (out->end == 0)
		return error_image(err, "the ELF has nothing to load");
	return 0;
}

/* Looks for a segment whose bytes in the file include addr, which is a physical
 * or a virtual address. *paddr is the physical one. */
static bool elf_find_code(const struct elf_file *elf, uint64_t addr,
			  bool physical, uint64_t *paddr)
{
	for (unsigned i = 0; i < elf->phnum; i++) {
		const Elf64_Phdr *p = &elf->phdrs[i];
		uint64_t base = physical ? p->p_paddr : p->p_vaddr;

		if (elf_is_loaded(p) && addr >= base &&
		    addr - base < p->p_filesz) {
			*paddr = p->p_paddr + (addr - base);
			return true;
		}
	}
	return false;
}

static size_t pad(size_t n, size_t align)
{
	return (n + align - 1) & ~(align - 1);
}

/* Returns the descriptor of a note, and its size, or NULL. The search ends at a
 * malformed note. */
static const uint8_t *notes_find(const uint8_t *notes, size_t len, size_t align,
				 const char *name, uint32_t type, size_t *size)
{
	size_t pos = 0;

	while (len - pos >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n;
		size_t namesz, descsz, desc;

		memcpy(&n, notes + pos, sizeof(n));
		namesz = n.n_namesz;
		descsz = n.n_descsz;
		desc = pos + pad(sizeof(n) + namesz, align);
		if (desc > len || descsz > len - desc)
			return NULL;
		if (n.n_type == type && namesz == strlen(name) + 1 &&
		    memcmp(notes + pos + sizeof(n), name, namesz) == 0) {
			*size = descsz;
			return notes + desc;
		}
		if (pad(descsz, align) > len - desc)
			return NULL;
		pos = desc + pad(descsz, align);
	}
	return NULL;
}

/* Copies up to size bytes of a note's descriptor to buf; *got is the length of
 * the whole descriptor. Returns 1, 0 if there is no such note, or -1 with an
 * error. */
static int elf_read_note(const struct elf_file *elf, const char *name,
			 uint32_t type, void *buf, size_t size, size_t *got,
			 struct error *err)
{
	for (unsigned i = 0; i < elf->phnum; i++) {
		const Elf64_Phdr *p = &elf->phdrs[i];
		uint64_t len = p->p_filesz;
		size_t align = p->p_align == 8 ? 8 : 4;
		autofree uint8_t *notes = NULL;
		const uint8_t *desc;

		if (p->p_type != PT_NOTE || len == 0)
			continue;
		if (len > ELF_NOTES_MAX)
			return error_image(err,
					   "%" PRIu64
					   " bytes of ELF notes; at most %u",
					   len, ELF_NOTES_MAX);
		notes = malloc(len);
		if (!notes)
			return error_io(err, "out of memory");
		if (boot_file_read(elf->file, p->p_offset, notes, len, err) < 0)
			return -1;
		desc = notes_find(notes, len, align, name, type, got);
		if (!desc)
			continue;
		memcpy(buf, desc, *got < size ? *got : size);
		return 1;
	}
	return 0;
}

/* Reads the PVH entry from the notes, where it is a number of 4 or 8 bytes.
 * Returns 1, 0 if there is none, or -1 with an error. */
static int elf_find_pvh(const struct elf_file *elf, uint64_t *entry,
			struct error *err)
{
	size_t size = 0;
	int found = elf_read_note(elf, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, entry,
				  sizeof(*entry), &size, err);

	if (found == 1 && size != 4 && size != 8)
		found = 0;
	return found;
}

static int elf_set_entry(const struct elf_file *elf, enum kernel_protocol want,
			 struct kernel_image *out, struct error *err)
{
	uint64_t entry = 0;
	int pvh = 0;

	if (want != KERNEL_LINUX64)
		pvh = elf_find_pvh(elf, &entry, err);
	if (pvh < 0)
		return -1;
	if (pvh) {
		out->arch.protocol = KERNEL_PVH;
		if (entry > UINT32_MAX ||
		    !elf_find_code(elf, entry, true, &out->entry))
			return error_image(
				err,
				"PVH entry %#" PRIx64
				" is not in a loaded segment below 4 GiB",
				entry);
		return 0;
	}
	if (want == KERNEL_PVH)
		return error_image(
			err, "the kernel has no PVH entry point (CONFIG_PVH)");
	out->arch.protocol = KERNEL_LINUX64;
	/* e_entry is a physical address in Linux, a virtual one in other
	 * kernels. */
	if (!elf_find_code(elf, elf->entry, true, &out->entry) &&
	    !elf_find_code(elf, elf->entry, false, &out->entry))
		return error_image(err,
				   "entry point %#" PRIx64
				   " is not in a loaded segment",
				   elf->entry);
	return 0;
}

int elf_load(const struct boot_file *file, const struct guest_mem *mem,
	     enum kernel_protocol want, struct kernel_image *out,
	     struct error *err)
{
	struct elf_file elf;

	if (elf_read_headers(&elf, file, err) < 0 ||
	    elf_load_segments(&elf, mem, out, err) < 0)
		return -1;
	out->initrd_max = ELF_INITRD_MAX;
	out->cmdline_max = ELF_CMDLINE_MAX;
	return elf_set_entry(&elf, want, out, err);
}

void elf_read_build(const struct boot_file *file, char *text, size_t size)
{
	struct elf_file elf;
	struct error ignored;
	size_t len = 0;

	if (elf_read_headers(&elf, file, &ignored) < 0 ||
	    elf_read_note(&elf, "Linux", LINUX_ELFNOTE_BUILD_SALT, text, size,
			  &len, &ignored) != 1)
		return;
	text[len < size ? len : size - 1] = '\0';
}
