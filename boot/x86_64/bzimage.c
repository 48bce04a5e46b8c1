/* bzImage: an x86 Linux with its own decompressor, entered by the 64-bit boot
 * protocol. Comments quote the kernel's boot.rst. */
#include "boot/x86_64/formats.h"

#include <asm/bootparam.h>
#include <inttypes.h>
#include <string.h>

#include "boot/x86_64/abi.h"

#define SECTOR 512

/* "64-bit Boot Protocol": the entry point is 0x200 bytes after the start. */
#define ENTRY_OFFSET 0x200

/* setup_sects: "For backwards compatibility, if the setup_sects field
 * contains 0, the real value is 4." */
#define SETUP_SECTS_OLD 4

bool bzimage_probe(const uint8_t *head, size_t len)
{
	static const uint8_t magic[4] = { 'H', 'd', 'r', 'S' };

	return len >= 0x206 && memcmp(head + 0x202, magic, 4) == 0;
}

static int bzimage_check_header(const struct setup_header *h, struct error *err)
{
	unsigned version = h->version;
	uint32_t align = h->kernel_alignment;

	if (h->boot_flag != LINUX_BOOT_FLAG)
		return error_image(err, "bzImage without boot flag 0xaa55");
	if (version < LINUX_PROTOCOL_2_12)
		return error_image(err,
				   "bzImage too old: boot protocol %u.%02u; "
				   "wanted: 2.12 (Linux 3.8)",
				   version >> 8, version & 0xff);
	if (!(h->xloadflags & XLF_KERNEL_64))
		return error_image(err,
				   "bzImage without a 64-bit entry point (a "
				   "32-bit kernel)");
	if (!(h->loadflags & LOADED_HIGH))
		return error_image(
			err,
			"zImage, which loads below 1 MiB; wanted: bzImage");
	if (h->relocatable_kernel && (align == 0 || (align & (align - 1))))
		return error_image(
			err, "kernel alignment %#x is not a power of 2", align);
	return 0;
}

/* Reads the setup header into out, and its fields into h. Fields that an older
 * protocol does not have are zero. */
static int bzimage_read_header(const struct boot_file *file,
			       struct kernel_image *out, struct setup_header *h,
			       struct error *err)
{
	size_t size = 0x202 - SETUP_HEADER_OFFSET;

	memset(h, 0, sizeof(*h));
	if (boot_file_read(file, SETUP_HEADER_OFFSET, h, size, err) < 0)
		return -1;
	size += h->jump >> 8;
	if (size > sizeof(out->arch.setup_header))
		size = sizeof(out->arch.setup_header);
	if (boot_file_read(file, SETUP_HEADER_OFFSET, out->arch.setup_header,
			   size, err) < 0)
		return -1;
	out->arch.setup_header_size = (uint32_t)size;
	memcpy(h, out->arch.setup_header,
	       size < sizeof(*h) ? size : sizeof(*h));
	return bzimage_check_header(h, err);
}

/* Finds the loading address, from which the kernel also counts init_size. A
 * relocatable kernel moves itself up to pref_address if it is loaded below.
 * -1 if there is no such address. */
static int bzimage_place(const struct setup_header *h, uint64_t *start)
{
	uint64_t mask = h->kernel_alignment - 1;

	*start = h->pref_address;
	if (*start < KERNEL_LOWEST && (h->relocatable_kernel || *start == 0))
		*start = KERNEL_LOWEST;
	if (!h->relocatable_kernel)
		return *start < KERNEL_LOWEST ? -1 : 0;
	if (__builtin_add_overflow(*start, mask, start))
		return -1;
	*start &= ~mask;
	return 0;
}

/* Finds the protected-mode code, and checks its length by the header. */
static int bzimage_find_code(const struct boot_file *file,
			     const struct setup_header *h, uint64_t *offset,
			     uint64_t *len, struct error *err)
{
	unsigned sects = h->setup_sects ? h->setup_sects : SETUP_SECTS_OLD;
	uint64_t said = (uint64_t)h->syssize * 16;

	*offset = (sects + 1) * SECTOR;
	*len = file->size > *offset ? file->size - *offset : 0;
	/* Some kernels round syssize up to 16 bytes. */
	if (*len <= ENTRY_OFFSET || said > *len + 15)
		return error_image(err,
				   "truncated bzImage: header promises %" PRIu64
				   " bytes of code, file has %" PRIu64,
				   said, *len);
	return 0;
}

int bzimage_load(const struct boot_file *file, const struct guest_mem *mem,
		 enum kernel_protocol want, struct kernel_image *out,
		 struct error *err)
{
	struct setup_header h;
	uint64_t offset, len, size;

	if (want == KERNEL_PVH)
		return error_image(err,
				   "a bzImage has no PVH entry point; use the "
				   "kernel's vmlinux");
	if (bzimage_read_header(file, out, &h, err) < 0 ||
	    bzimage_find_code(file, &h, &offset, &len, err) < 0)
		return -1;
	if (bzimage_place(&h, &out->start) < 0)
		return error_image(err, "bzImage wants to load at %#" PRIx64,
				   (uint64_t)h.pref_address);

	size = h.init_size > len ? h.init_size : len;
	if (!guest_range(mem, out->start, size))
		return error_image(err,
				   "bzImage needs %" PRIu64 " KiB at %#" PRIx64
				   " and does not fit into %" PRIu64
				   " MiB of guest memory",
				   size >> 10, out->start,
				   guest_mem_size(mem) >> 20);
	if (load_range(mem, out->start, file, offset, len, err) < 0)
		return -1;
	out->arch.protocol = KERNEL_LINUX64;
	out->entry = out->start + ENTRY_OFFSET;
	out->end = out->start + size;
	out->initrd_max = h.initrd_addr_max;
	out->cmdline_max = h.cmdline_size;
	return 0;
}

void bzimage_read_build(const struct boot_file *file, char *text, size_t size)
{
	struct kernel_image image;
	struct setup_header header;
	struct error ignored;
	uint64_t offset;

	if (bzimage_read_header(file, &image, &header, &ignored) < 0 ||
	    !header.kernel_version)
		return;
	offset = header.kernel_version + 0x200;
	if (offset >= file->size)
		return;
	if (size - 1 > file->size - offset)
		size = (size_t)(file->size - offset) + 1;
	if (boot_file_read(file, offset, text, size - 1, &ignored) < 0)
		size = 1;
	text[size - 1] = '\0';
}
