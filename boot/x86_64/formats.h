/* The two formats of x86-64 kernels: a bzImage (Linux
 * Documentation/arch/x86/boot.rst, 64-bit entry) and an ELF vmlinux (ELF-64,
 * entered by PVH or as boot.rst says). Internal to boot/. kernel_format.h has
 * the contracts.
 */
#pragma once

#include "boot/kernel_format.h"

/* Types of ELF notes that kernels have, by name. */
#define XEN_ELFNOTE_PHYS32_ENTRY 18    /* "Xen": public/elfnote.h */
#define LINUX_ELFNOTE_BUILD_SALT 0x100 /* "Linux": linux/build-salt.h */

bool elf_probe(const uint8_t *head, size_t len);
int elf_load(const struct boot_file *file, const struct guest_mem *mem,
	     enum kernel_protocol want, struct kernel_image *out,
	     struct error *err);
void elf_read_build(const struct boot_file *file, char *text, size_t size);

bool bzimage_probe(const uint8_t *head, size_t len);
int bzimage_load(const struct boot_file *file, const struct guest_mem *mem,
		 enum kernel_protocol want, struct kernel_image *out,
		 struct error *err);
void bzimage_read_build(const struct boot_file *file, char *text, size_t size);
