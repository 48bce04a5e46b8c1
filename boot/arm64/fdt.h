/* The flattened device tree that describes its machine to an arm64 guest.
 *
 * Devicetree Specification 0.4; booting.rst, "Setup the device tree"; the
 * bindings of Linux, Documentation/devicetree/bindings. SPIs are counted as in
 * the GIC's binding, from INTID 32 on. All of them are edge-triggered, because
 * all interrupt lines of onggi are. Set-up thread, before any vCPU.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/guest_mem.h"
#include "boot/initrd.h"

/* booting.rst: the tree lies on an 8-byte boundary and is at most 2 MiB long.
 * (Kernels before 4.2 also wanted it in one 2 MiB block.) */
#define FDT_SIZE_MAX (2 << 20)

struct fdt_device {
	uint64_t gpa, size; /* of its registers */
	uint32_t spi;
};

/* A cache of the host's CPU 0. All CPUs of the guest get the same caches, and
 * share those of level 3 and above. */
struct fdt_cache {
	unsigned level; /* 1 to 7 */
	enum {
		FDT_CACHE_DATA,
		FDT_CACHE_INSTRUCTION,
		FDT_CACHE_UNIFIED,
	} kind;
	uint32_t size;	    /* bytes */
	uint32_t line_size; /* bytes */
	uint32_t sets;	    /* any of the three is 0 if it is not known */
};

struct fdt_config {
	const char *cmdline;  /* at most KERNEL_CMDLINE_MAX bytes */
	struct initrd initrd; /* size 0: none */
	const struct guest_mem *mem;
	unsigned ram_count;	/* how many of its first regions are RAM */
	unsigned cpu_count;	/* 1 or more */
	const uint64_t *mpidrs; /* each CPU's affinity fields of MPIDR_EL1 */
	unsigned cache_count;
	const struct fdt_cache *caches; /* by level, lowest first */
	unsigned gic_version;		/* 2 or 3 */
	uint64_t gicd_base, gicd_size;
	uint64_t gicr_base, gicr_size; /* GICv3: all CPUs' redistributors */
	uint64_t gicc_base, gicc_size; /* GICv2: the CPU interface */
	bool has_serial;
	struct fdt_device serial;  /* a 16550A */
	struct fdt_device gpio;	   /* a PL061; size 0: none */
	unsigned gpio_button_line; /* 0 to 7: the power button */
	unsigned virtio_count;
	const struct fdt_device *virtio;
	bool pmu;	      /* PMUv3, on PPI 7 */
	uint8_t rng_seed[32]; /* all zero: none */
	uint64_t kaslr_seed;  /* 0: none */
};

/* Builds the whole tree in buf, which must not overlap anything in the config.
 * Returns the size of the tree, at most FDT_SIZE_MAX, or -1 with ERROR_USAGE
 * for a command line that is too long and ERROR_IMAGE for a tree that is longer
 * than size. */
int fdt_build(const struct fdt_config *config, void *buf, size_t size,
	      struct error *err);
