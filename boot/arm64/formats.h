/* The formats of arm64 kernels: an Image (Linux
 * Documentation/arch/arm64/booting.rst, "Call the kernel image"), a compressed
 * Image within an EFI zboot program (Linux
 * drivers/firmware/efi/libstub/zboot-header.S), and Image.gz. Internal to
 * boot/. kernel_format.h has the contracts.
 */
#pragma once

#include "boot/kernel_format.h"

#define IMAGE_HEADER_SIZE 64

bool image_probe(const uint8_t *head, size_t len);
int image_load(const struct boot_file *file, const struct guest_mem *mem,
	       enum kernel_protocol want, struct kernel_image *out,
	       struct error *err);

/* Reads an Image's header and fills in out. Guest memory covers the whole range
 * from out->start to out->end, which includes .bss. 0, or -1 with ERROR_IMAGE.
 */
int image_place(const uint8_t header[static IMAGE_HEADER_SIZE],
		const struct guest_mem *mem, struct kernel_image *out,
		struct error *err);

bool zboot_probe(const uint8_t *head, size_t len);
int zboot_load(const struct boot_file *file, const struct guest_mem *mem,
	       enum kernel_protocol want, struct kernel_image *out,
	       struct error *err);

bool image_gz_probe(const uint8_t *head, size_t len);
int image_gz_load(const struct boot_file *file, const struct guest_mem *mem,
		  enum kernel_protocol want, struct kernel_image *out,
		  struct error *err);
