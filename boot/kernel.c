#include "boot/kernel.h"

#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "boot/kernel_format.h"

/* Files that users pass by mistake, recognised by bytes at a fixed offset. */
struct foreign_format {
	size_t offset;
	const char *magic;
	size_t magic_len;
	const char *what;
};

#define MAGIC(bytes) .magic = (bytes), .magic_len = sizeof(bytes) - 1

static const struct foreign_format foreign_formats[] = {
	{ 0, MAGIC("\x1f\x8b"), "gzip-compressed: decompress it first" },
	{ 0, MAGIC("\x28\xb5\x2f\xfd"),
	  "zstd-compressed: decompress it first" },
	{ 0, MAGIC("\xfd\x37\x7aXZ"), "xz-compressed: decompress it first" },
	{ 0, MAGIC("BZh"), "bzip2-compressed: decompress it first" },
	{ 0, MAGIC("\x04\x22\x4d\x18"), "lz4-compressed: decompress it first" },
	{ 0, MAGIC("\x02\x21\x4c\x18"), "lz4-compressed: decompress it first" },
	{ 0, MAGIC("070701"), "a cpio archive: an initrd, not a kernel" },
	{ 4, MAGIC("zimg"), "a compressed EFI image: unpack the kernel in it" },
	{ 56, MAGIC("ARM\x64"), "an arm64 kernel Image" },
	{ 56, MAGIC("RSC\x05"), "a RISC-V kernel Image" },
	{ 0x202, MAGIC("HdrS"), "an x86-64 kernel, a bzImage" },
	{ 16, MAGIC("\x02\0\x3e\0"), "an x86-64 kernel, a vmlinux" },
	{ 1, MAGIC("ELF"), "an ELF file" },
	{ 0, MAGIC("MZ"), "an EFI or DOS program" },
	{ 0, MAGIC("#!"), "a script" },
};

static bool is_text(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (head[i] < '\t' || head[i] == 0x7f ||
		    (head[i] > '\r' && head[i] < ' '))
			return false;
	}
	return true;
}

static const char *foreign_name(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(foreign_formats); i++) {
		const struct foreign_format *f = &foreign_formats[i];

		if (len >= f->offset + f->magic_len &&
		    memcmp(head + f->offset, f->magic, f->magic_len) == 0)
			return f->what;
	}
	return is_text(head, len) ? "a text file" : "of an unknown format";
}

/* The format of a file that starts with these bytes, or NULL. */
static const struct kernel_format *find_format(const uint8_t *head, size_t len)
{
	for (unsigned i = 0; i < kernel_format_count; i++)
		if (kernel_formats[i].probe(head, len))
			return &kernel_formats[i];
	return NULL;
}

static int read_head(const struct boot_file *file,
		     uint8_t head[static KERNEL_HEAD_SIZE], size_t *len,
		     struct error *err)
{
	*len = file->size < KERNEL_HEAD_SIZE ? (size_t)file->size
					     : KERNEL_HEAD_SIZE;
	if (*len == 0)
		return error_image(err, "the file is empty");
	return boot_file_read(file, 0, head, *len, err);
}

int kernel_load(const struct boot_file *file, const struct guest_mem *mem,
		enum kernel_protocol want, struct kernel_image *out,
		struct error *err)
{
	const struct kernel_format *format;
	uint8_t head[KERNEL_HEAD_SIZE];
	size_t len;

	*out = (struct kernel_image){ 0 };
	if (read_head(file, head, &len, err) < 0)
		return error_wrap(err, "%s", file->name);
	format = find_format(head, len);
	if (!format)
		return error_image(err,
				   "%s: not a kernel image (it is %s); "
				   "wanted: %s",
				   file->name, foreign_name(head, len),
				   kernel_formats_wanted);
	if (format->load(file, mem, want, out, err) < 0)
		return error_wrap(err, "%s", file->name);
	return 0;
}

void kernel_read_build(const struct boot_file *file, char *text, size_t size)
{
	const struct kernel_format *format;
	uint8_t head[KERNEL_HEAD_SIZE];
	struct error ignored;
	size_t len;

	text[0] = '\0';
	if (read_head(file, head, &len, &ignored) < 0)
		return;
	format = find_format(head, len);
	if (format && format->read_build)
		format->read_build(file, text, size);
}
