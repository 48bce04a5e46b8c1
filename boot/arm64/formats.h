/* The formats of arm64 kernels: an Image (Linux
 * Documentation/arch/arm64/booting.rst, "Call the kernel image"), and the same
 * compressed: within an EFI zboot program (Linux
 * drivers/firmware/efi/libstub/zboot-header.S) or alone, Image.gz. Internal to
 * boot/; contracts as in kernel_format.h.
 */
#pragma once

#include "boot/kernel_format.h"

#define IMAGE_HEADER_SIZE 64

bool image_probe(const uint8_t *head, size_t len);
int image_load(const struct boot_file *file, const struct guest_mem *mem,
	       enum kernel_protocol want, struct kernel_image *out,
	       struct error *err);

/* Reads an Image's header and fills in out: where the kernel goes, in memory
 * that is there. It is out->end - out->start bytes, .bss included. name is the
 * file's, for messages. 0, or -1 with ERROR_IMAGE. */
int image_place(const uint8_t header[static IMAGE_HEADER_SIZE],
		const char *name, const struct guest_mem *mem,
		struct kernel_image *out, struct error *err);

bool zboot_probe(const uint8_t *head, size_t len);
int zboot_load(const struct boot_file *file, const struct guest_mem *mem,
	       enum kernel_protocol want, struct kernel_image *out,
	       struct error *err);

bool image_gz_probe(const uint8_t *head, size_t len);
int image_gz_load(const struct boot_file *file, const struct guest_mem *mem,
		  enum kernel_protocol want, struct kernel_image *out,
		  struct error *err);
