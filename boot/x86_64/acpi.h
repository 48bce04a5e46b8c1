/* ACPI tables of an x86-64 machine without legacy hardware.
 *
 * ACPI 6.5, the hardware-reduced model (section 4.1): no SCI, no PM1 block,
 * no PM timer. There is no PCI host; devices are named in the DSDT. Tables:
 * RSDP, XSDT, FADT, MADT, DSDT, in the range 0xe0000-0xfffff.
 *
 * The interrupt of each device is edge-triggered and active high: one pulse for
 * each event, without acknowledgement. Set-up thread, before any vCPU.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/guest_mem.h"

#define ACPI_CPUS_MAX 64
#define ACPI_VIRTIO_MAX 32

#define ACPI_COM1_PORT 0x3f8 /* where a PC has its first serial port */
#define ACPI_COM1_PORTS 8

struct acpi_virtio {
	uint64_t gpa;  /* of its registers, below 4 GiB */
	uint64_t size; /* bytes */
	uint32_t gsi;
};

struct acpi_config {
	unsigned cpu_count; /* 1-64; APIC ids are 0, 1, ... */
	unsigned virtio_count;
	struct acpi_virtio virtio[ACPI_VIRTIO_MAX];
	bool serial; /* a 16550 at ACPI_COM1_PORT */
	uint32_t serial_gsi;
	uint32_t event_gsi; /* of the generic event device */
};

/* Writes the tables. *rsdp is the guest physical address of the RSDP. 0, or -1
 * with ERROR_USAGE for a config outside the limits above and ERROR_IMAGE if
 * guest memory does not cover the range. */
int acpi_build(const struct guest_mem *mem, const struct acpi_config *config,
	       uint64_t *rsdp, struct error *err);
