#include "boot/x86_64/acpi_dsdt.h"

#include <stdio.h>

#include "abi/power.h"

/* Names have four characters, here a letter and a number: "V003". */
static void device_open(struct aml *aml, char letter, unsigned number)
{
	char name[5];

	snprintf(name, sizeof(name), "%c%03X", letter, number & 0xfff);
	aml_device(aml, name);
}

/* 8.4: processor devices. _UID is that of the processor's MADT entry. */
static void dsdt_cpus(struct aml *aml, const struct acpi_config *config)
{
	for (unsigned i = 0; i < config->cpu_count; i++) {
		device_open(aml, 'C', i);
		aml_name_string(aml, "_HID", "ACPI0007");
		aml_name_integer(aml, "_UID", i);
		aml_end(aml);
	}
}

static void dsdt_serial(struct aml *aml, const struct acpi_config *config)
{
	if (!config->serial)
		return;
	aml_device(aml, "COM1");
	aml_name_eisa_id(aml, "_HID", "PNP0501");
	aml_name_integer(aml, "_UID", 1);
	aml_name(aml, "_CRS");
	aml_resources(aml);
	aml_io_port(aml, ACPI_COM1_PORT, ACPI_COM1_PORTS);
	aml_interrupt(aml, config->serial_gsi);
	aml_end(aml);
	aml_end(aml);
}

/* LNRO0005 is the id for which Linux has its virtio_mmio driver. */
static void dsdt_virtio(struct aml *aml, const struct acpi_config *config)
{
	for (unsigned i = 0; i < config->virtio_count; i++) {
		const struct acpi_virtio *v = &config->virtio[i];

		device_open(aml, 'V', i);
		aml_name_string(aml, "_HID", "LNRO0005");
		aml_name_integer(aml, "_UID", i);
		aml_name_integer(aml, "_CCA", 1);
		aml_name(aml, "_CRS");
		aml_resources(aml);
		aml_memory32_fixed(aml, (uint32_t)v->gpa, (uint32_t)v->size);
		aml_interrupt(aml, v->gsi);
		aml_end(aml);
		aml_end(aml);
	}
}

/* 5.6.9, Interrupt-signaled ACPI Events: a device takes the place of the SCI.
 * Its interrupt runs _EVT, which reads from the event register what happened.
 */
static void dsdt_power_button(struct aml *aml, const struct acpi_config *config)
{
	aml_device(aml, "PWRB");
	aml_name_eisa_id(aml, "_HID", "PNP0C0C");
	aml_end(aml);

	aml_device(aml, "GED");
	aml_name_string(aml, "_HID", "ACPI0013");
	aml_name_integer(aml, "_UID", 0);
	aml_name(aml, "_CRS");
	aml_resources(aml);
	aml_interrupt(aml, config->event_gsi);
	aml_end(aml);
	aml_io_region(aml, "EVTR", POWER_PORT + POWER_EVENTS, 1);
	aml_byte_field(aml, "EVTR", "EVTS");
	aml_method(aml, "_EVT", 1);
	aml_if(aml);
	aml_and(aml, "EVTS", POWER_EVENT_BUTTON);
	aml_notify(aml, "\\_SB.PWRB", 0x80); /* pressed */
	aml_end(aml);
	aml_end(aml);
	aml_end(aml);
}

/* 7.4.2: the numbers to write to the sleep control register for S5. */
static void dsdt_power_off(struct aml *aml)
{
	aml_name(aml, "\\_S5");
	aml_package(aml, 4);
	aml_integer(aml, POWER_SLP_TYP_OFF);
	aml_integer(aml, 0);
	aml_integer(aml, 0);
	aml_integer(aml, 0);
	aml_end(aml);
}

void acpi_dsdt_write(struct aml *aml, const struct acpi_config *config)
{
	aml_scope(aml, "\\_SB");
	dsdt_cpus(aml, config);
	dsdt_serial(aml, config);
	dsdt_virtio(aml, config);
	dsdt_power_button(aml, config);
	aml_end(aml);
	dsdt_power_off(aml);
}
