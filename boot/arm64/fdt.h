/* The flattened device tree that tells an arm64 guest of its machine.
 *
 * Devicetree Specification 0.4; booting.rst, "Setup the device tree"; the
 * bindings of Linux, Documentation/devicetree/bindings. Interrupts are given
 * as the GIC's binding counts them: an SPI of 0 is INTID 32. All SPIs are
 * rising edges, as all lines of onggi are. Set-up thread, before any vCPU.
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
#define FDT_ALIGN 8
#define FDT_SIZE_MAX (2 << 20)

struct fdt_virtio {
	uint64_t gpa, size;
	uint32_t spi;
};

/* A cache of CPU 0, as the host has it; all CPUs are alike. Caches of level 3
 * and above are shared by all. */
struct fdt_cache {
	unsigned level; /* 1 to 7 */
	enum {
		FDT_CACHE_DATA,
		FDT_CACHE_INSTRUCTION,
		FDT_CACHE_UNIFIED,
	} kind;
	uint32_t size;	    /* bytes */
	uint32_t line_size; /* bytes */
	uint32_t sets;	    /* 0: not known, as any of the three */
};

struct fdt_config {
	const char *cmdline;  /* at most KERNEL_CMDLINE_MAX bytes */
	struct initrd initrd; /* size 0: none */
	const struct guest_mem *mem;
	unsigned ram_count;	/* its first regions, as many, are RAM */
	unsigned cpu_count;	/* 1 or more */
	const uint64_t *mpidrs; /* of each CPU, MPIDR_EL1's affinity fields */
	unsigned cache_count;
	const struct fdt_cache *caches; /* by level, lowest first */
	bool psci_1_0;			/* else 0.2; called by hvc */
	unsigned gic_version;		/* 2 or 3 */
	uint64_t gicd_base, gicd_size;
	uint64_t gicr_base, gicr_size; /* GICv3: all CPUs' redistributors */
	uint64_t gicc_base, gicc_size; /* GICv2: the CPU interface */
	bool has_serial;	       /* a 16550A */
	struct {
		uint64_t gpa, size;
		uint32_t spi;
	} serial;
	struct { /* a PL061; size 0: none */
		uint64_t gpa, size;
		uint32_t spi;
	} gpio;
	unsigned gpio_button_line; /* 0 to 7: the power button */
	unsigned virtio_count;
	const struct fdt_virtio *virtio;
	bool pmu;	      /* PMUv3, on PPI 7 */
	uint8_t rng_seed[32]; /* all zero: none, as below */
	uint64_t kaslr_seed;
};

/* Builds the whole tree in buf, which nothing of the config overlaps. Returns
 * its size, at most FDT_SIZE_MAX, or -1 with ERROR_USAGE for a command line
 * that is too long and ERROR_IMAGE for a tree that is longer than size. */
int fdt_build(const struct fdt_config *config, void *buf, size_t size,
	      struct error *err);
